"""The guide's convolutional network for either Keras; the package, `tf_keras` or `keras`, is passed in."""

from __future__ import annotations

from typing import Any


def guide_network(keras: Any, input_shape: tuple[int, ...], classes: int, *, dropout: float, dense_units: int) -> Any:
    """Return two convolutions, two poolings and two dense layers for images of 10 x 10 and more, not yet trained."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(input_shape, name="image"),
            layers.Conv2D(32, 3, activation="relu", name="conv1"),
            layers.MaxPooling2D(name="pool1"),
            layers.Conv2D(64, 3, activation="relu", name="conv2"),
            layers.MaxPooling2D(name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(dense_units, activation="relu", name="dense"),
            layers.Dropout(dropout, name="dropout"),
            layers.Dense(classes, name="logits"),
        ],
        name="guide_cnn",
    )
