"""What the built-in image models ask of a data set."""

from __future__ import annotations

from modelyard.errors import DataError


def check_image_shape(model: str, input_shape: tuple[int, ...], *, smallest: int) -> None:
    """Check that a sample is an image `(height, width, channels)` of at least `smallest` x `smallest`.

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
        hint = "use the model 'digits-cnn'" if min(input_shape[:2]) >= 2 and smallest > 2 else "use larger images"
        msg = f"the model {model!r} takes images from {smallest} x {smallest}, but these are {size}\n  {hint}"
        raise DataError(msg)
