"""What every TensorFlow component has in common, so that one worker serves them all. Imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping


class Traits(TypedDict):
    """The traits of a component that runs TensorFlow; see `modelyard.hookspecs.Register`."""

    tools: tuple[str, ...]
    environment: Mapping[str, str]
    preload: tuple[str, ...]


TENSORFLOW: Traits = {
    "tools": ("tensorflow", "tf-keras", "tensorflow-model-optimization", "numpy"),
    # tensorflow-model-optimization takes Keras 2 models only, and TensorFlow decides which Keras it is when imported
    "environment": {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"},
    "preload": ("tensorflow", "tf_keras", "tensorflow_model_optimization"),
}


def start(seed: int) -> None:
    """Seed every random generator and let TensorFlow use deterministic kernels only: same key, same bytes."""
    import tensorflow as tf
    import tf_keras

    tf.get_logger().setLevel("ERROR")
    tf_keras.backend.clear_session()  # layers without a name are numbered from 1 again
    tf_keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
