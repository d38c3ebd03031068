"""Layers that converters and tensorflow-model-optimization do not know. Files name them: they stand outside of functions."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras


@tf_keras.saving.register_keras_serializable("tests")
class Scale(tf_keras.layers.Layer):
    """A layer with a weight."""

    def build(self, shape: Any) -> None:
        """Make the factor."""
        self.factor = self.add_weight("factor", (), initializer="ones")

    def call(self, x: Any) -> Any:
        """Return `x` times the factor."""
        return x * self.factor


@tf_keras.saving.register_keras_serializable("tests")
class Bessel(tf_keras.layers.Layer):
    """A layer of a function that ONNX lacks."""

    def call(self, x: Any) -> Any:
        """Return the Bessel function of the first kind and order 0."""
        return tf.math.special.bessel_j0(x)
