"""The model `digits-cnn`: small enough to train in seconds on 8 x 8 images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.params import OpenFraction, PositiveInt
from modelyard_plugins.support.tensorflow import TENSORFLOW

if TYPE_CHECKING:
    from modelyard.hookspecs import RegisterModel


def digits_cnn(
    input_shape: tuple[int, ...],
    classes: int,
    *,
    filters: PositiveInt = 16,
    dense_units: PositiveInt = 64,
    dropout: OpenFraction = 0.25,
) -> Any:
    """A small convolutional network for small images, for instance digits of 8 x 8.

    Args:
        input_shape: height, width and channels of an image.
        classes: number of logits.
        filters: filters of the first convolution; the second has twice as many.
        dense_units: units of the hidden dense layer.
        dropout: fraction of the hidden units that each training step leaves out.
    """
    import tf_keras

    from modelyard_plugins.support.images import check_image_shape

    check_image_shape("digits-cnn", input_shape, smallest=2)
    layers = tf_keras.layers
    return tf_keras.Sequential(
        [
            layers.Input(input_shape, name="image"),
            layers.Conv2D(filters, 3, padding="same", activation="relu", name="conv1"),
            layers.MaxPooling2D(name="pool1"),
            layers.Conv2D(2 * filters, 3, padding="same", activation="relu", name="conv2"),
            layers.Flatten(name="flatten"),
            layers.Dense(dense_units, activation="relu", name="dense"),
            layers.Dropout(dropout, name="dropout"),
            layers.Dense(classes, name="logits"),
        ],
        name="digits_cnn",
    )


@hookimpl
def modelyard_register_models(register: RegisterModel) -> None:
    """Register the model."""
    register("digits-cnn", digits_cnn, produces="tf_keras", **TENSORFLOW)
