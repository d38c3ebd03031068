"""What every TensorFlow component has in common, so that one worker serves them all. Imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelyard.hookspecs import Traits

_MALLOC = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
"""Keep what a training step frees for the next one.

With glibc's defaults each step gives its memory back and faults it in again: for `guide-cnn` on CIFAR-10 that is
35 MB and 8,700 page faults a step, 0.4 of the step's processor time. glibc takes no mmap threshold above 32 MiB.
"""

TENSORFLOW: Traits = {
    "tools": ("tensorflow", "tf-keras", "tensorflow-model-optimization", "numpy"),
    # tensorflow-model-optimization takes Keras 2 models only, and TensorFlow decides which Keras it is when imported
    "environment": {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "2", **_MALLOC},
    "preload": ("tensorflow", "tf_keras", "tensorflow_model_optimization"),
    "resources": ("gpu",),
    "deterministic": True,  # by `start`
}

QAT = "tf_keras_qat"
"""The format of a model with fake quantization in it: only a conversion to integers makes sense of it."""

TENSORFLOW_ONNX: Traits = {**TENSORFLOW, "tools": (*TENSORFLOW["tools"], "onnx", "tf2onnx")}
"""Those of a component that exports to ONNX, too."""


def start(seed: int) -> None:
    """Seed every random generator and let TensorFlow use deterministic kernels only: same key, same bytes."""
    import tensorflow as tf
    import tf_keras

    tf.get_logger().setLevel("ERROR")
    tf_keras.backend.clear_session()  # layers without a name are numbered from 1 again
    tf_keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
