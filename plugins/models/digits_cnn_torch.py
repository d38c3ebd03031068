"""The model `digits-cnn-torch`: the network of `digits-cnn` for the trainer `torch`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.params import OpenFraction, PositiveInt
from modelyard_plugins.support.images import check_image_shape
from modelyard_plugins.support.torch.start import TORCH

if TYPE_CHECKING:
    from modelyard.hookspecs import RegisterModel


def digits_cnn_torch(
    input_shape: tuple[int, ...],
    classes: int,
    *,
    filters: PositiveInt = 16,
    dense_units: PositiveInt = 64,
    dropout: OpenFraction = 0.25,
) -> Any:
    """A small convolutional network in PyTorch for small images, for instance digits of 8 x 8.

    Args:
        input_shape: channels, height and width of an image.
        classes: number of logits.
        filters: filters of the first convolution; the second has twice as many.
        dense_units: units of the hidden dense layer.
        dropout: fraction of the hidden units that each training step leaves out.
    """
    from collections import OrderedDict

    from torch import nn

    channels, *size = input_shape
    check_image_shape("digits-cnn-torch", (*size, channels), smallest=2)
    height, width = (side // 2 for side in size)
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, filters, 3, padding=1),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(filters, 2 * filters, 3, padding=1),
            relu2=nn.ReLU(),
            flatten=nn.Flatten(),
            dense=nn.Linear(2 * filters * height * width, dense_units),
            relu3=nn.ReLU(),
            dropout=nn.Dropout(dropout),
            logits=nn.Linear(dense_units, classes),
        )
    )


@hookimpl
def modelyard_register_models(register: RegisterModel) -> None:
    """Register the model."""
    register("digits-cnn-torch", digits_cnn_torch, produces="torch", **TORCH)
