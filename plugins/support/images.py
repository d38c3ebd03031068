"""What the built-in image models ask of a data set."""

from __future__ import annotations

from modelyard.errors import DataError


def check_image_shape(model: str, input_shape: tuple[int, ...], *, smallest: int, smaller: str = "digits-cnn") -> None:
    """Check that a sample is an image `(height, width, channels)` of at least `smallest` x `smallest`.

    Args:
        model: the model's name.
        input_shape: the shape of one sample.
        smallest: the least height and width that the model can take.
        smaller: the model to name for images from 2 x 2.

    Raises:
        DataError: it is not; the message names another model where there is one.
    """
    if len(input_shape) != 3:
        msg = (
            f"the model {model!r} takes images (height, width, channels), but a sample has the shape {input_shape}\n"
            '  give the samples a channel axis, or name a model of your own: use = "module:function"'
        )
        raise DataError(msg)
    if min(input_shape[:2]) < smallest:
        size = f"{input_shape[0]} x {input_shape[1]}"
        hint = f"use the model {smaller!r}" if min(input_shape[:2]) >= 2 and smallest > 2 else "use larger images"
        msg = f"the model {model!r} takes images from {smallest} x {smallest}, but these are {size}\n  {hint}"
        raise DataError(msg)
