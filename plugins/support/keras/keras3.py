"""What every component of Keras 3 has in common, so that one worker serves them all. Imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard_plugins.support.tensorflow import TENSORFLOW

if TYPE_CHECKING:
    from modelyard.hookspecs import Traits

KERAS: Traits = {
    "tools": ("keras", "tensorflow", "numpy"),
    # Keras 3 and the Keras 2 API cannot share a process: TensorFlow decides which Keras it is when imported
    "environment": {**TENSORFLOW["environment"], "TF_USE_LEGACY_KERAS": "0", "KERAS_BACKEND": "tensorflow"},
    "preload": ("tensorflow", "keras"),
    "resources": ("gpu",),
    "deterministic": True,  # by `start`
}

KERAS_ONNX: Traits = {**KERAS, "tools": (*KERAS["tools"], "onnx", "tf2onnx")}
"""Those of a component that exports to ONNX, too."""


def start(seed: int) -> None:
    """Seed every random generator, let deterministic kernels run only, and forget what a person's keras.json says."""
    import keras
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy("float32")
    keras.utils.clear_session()  # layers without a name are numbered from 1 again
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
