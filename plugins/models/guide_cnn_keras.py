"""The model `guide-cnn-keras`: the network of `guide-cnn` in Keras 3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.params import OpenFraction, PositiveInt
from modelyard_plugins.support.images import check_image_shape
from modelyard_plugins.support.keras.guide_network import guide_network
from modelyard_plugins.support.keras.keras3 import KERAS

if TYPE_CHECKING:
    from modelyard.hookspecs import RegisterModel


def guide_cnn_keras(
    input_shape: tuple[int, ...], classes: int, *, dropout: OpenFraction = 0.25, dense_units: PositiveInt = 64
) -> Any:
    """The guide's convolutional network in Keras 3, for images of 10 x 10 and more.

    Args:
        input_shape: height, width and channels of an image.
        classes: number of logits.
        dropout: fraction of the hidden units that each training step leaves out.
        dense_units: units of the hidden dense layer.
    """
    import keras

    check_image_shape("guide-cnn-keras", input_shape, smallest=10)
    return guide_network(keras, input_shape, classes, dropout=dropout, dense_units=dense_units)


@hookimpl
def modelyard_register_models(register: RegisterModel) -> None:
    """Register the model."""
    register("guide-cnn-keras", guide_cnn_keras, produces="keras", **KERAS)
