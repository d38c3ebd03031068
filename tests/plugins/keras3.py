"""Small models of Keras 3, built by functions as a project's own module holds them."""

from __future__ import annotations

from typing import Any


def small_cnn(input_shape: tuple[int, ...], classes: int) -> Any:
    """Return a network with two layers that Keras can quantize and one that it cannot."""
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(input_shape, name="image"),
            layers.Conv2D(8, 3, activation="relu", name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(name="flatten"),
            layers.Dense(64, activation="relu", name="dense"),
            layers.Dropout(0.1, name="dropout"),
            layers.Dense(classes, name="logits"),
        ],
        name="small_cnn",
    )


def only_convolutions(input_shape: tuple[int, ...], classes: int) -> Any:
    """Return a network with no layer that Keras can quantize."""
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(input_shape),
            layers.Conv2D(classes, 3, name="conv"),
            layers.GlobalAveragePooling2D(name="mean"),
        ],
        name="only_convolutions",
    )


def shared_object(input_shape: tuple[int, ...], classes: int) -> Any:
    """Return a Functional model in which layers share an object: Keras writes such by its address in memory."""
    import keras

    small = keras.regularizers.L2(1e-4)
    image = keras.Input(input_shape)
    flat = keras.layers.Flatten()(image)
    hidden = keras.layers.Dense(8, activation="relu", kernel_regularizer=small, name="a")(flat)
    hidden = keras.layers.Dense(8, activation="relu", kernel_regularizer=small, name="b")(hidden)
    return keras.Model(image, keras.layers.Dense(classes, name="logits")(hidden), name="shared")
