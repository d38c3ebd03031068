"""The model `guide-cnn-torch`: the network of `guide-cnn` for the trainer `torch`; 167,562 parameters on CIFAR-10."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.params import OpenFraction, PositiveInt
from modelyard_plugins.support.images import check_image_shape
from modelyard_plugins.support.torch.start import TORCH

if TYPE_CHECKING:
    from modelyard.hookspecs import RegisterModel


def guide_cnn_torch(
    input_shape: tuple[int, ...], classes: int, *, dropout: OpenFraction = 0.25, dense_units: PositiveInt = 64
) -> Any:
    """The guide's convolutional network in PyTorch, for images of 10 x 10 and more.

    Args:
        input_shape: channels, height and width of an image.
        classes: number of logits.
        dropout: fraction of the hidden units that each training step leaves out.
        dense_units: units of the hidden dense layer.
    """
    from collections import OrderedDict

    from torch import nn

    channels, *size = input_shape
    check_image_shape("guide-cnn-torch", (*size, channels), smallest=10, smaller="digits-cnn-torch")
    height, width = (((side - 2) // 2 - 2) // 2 for side in size)
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, 32, 3),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(32, 64, 3),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            dense=nn.Linear(64 * height * width, dense_units),
            relu3=nn.ReLU(),
            dropout=nn.Dropout(dropout),
            logits=nn.Linear(dense_units, classes),
        )
    )


@hookimpl
def modelyard_register_models(register: RegisterModel) -> None:
    """Register the model."""
    register("guide-cnn-torch", guide_cnn_torch, produces="torch", **TORCH)
