"""Handler `image-decode`: JPEG and PNG to pixels, by Pillow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from modelyard import hookimpl
from modelyard.params import PositiveInt

if TYPE_CHECKING:
    from modelyard.hookspecs import RegisterHandler
    from modelyard.serving.handlers import Handler, Place

_PACKAGE = Path(__file__).with_name("modelyard_handlers")
_REQUIREMENTS = Path(__file__).with_name("image-decode-requirements.txt")


def image_decode(
    place: Place,
    *,
    size: tuple[PositiveInt, PositiveInt],
    colours: Literal["rgb", "grey"] = "rgb",
    fit: Literal["stretch", "crop", "pad"] = "stretch",
    layout: Literal["channels-last", "channels-first"] = "channels-last",
    max_pixels: PositiveInt = 25_000_000,
    input: str = "image",  # noqa: A002 - the word of the configuration
    output: str = "pixels",
) -> Handler:
    """Decodes JPEG and PNG to pixels, uint8: upright, in the size and with the channels that the model takes.

    Args:
        place: where it stands.
        size: height and width of what the model takes, in pixels
        colours: rgb, three channels, or grey, one
        fit: how a picture gets that size: stretch changes its proportions, crop cuts off what is too much, pad adds black
        layout: whether the channels come last or first
        max_pixels: the pixels that a picture may have, looked at before it is decoded
        input: what clients call a picture
        output: what the model calls the pixels
    """
    from modelyard_plugins.handlers import modelyard_handlers

    return modelyard_handlers.image_decode(
        place, size=size, colours=colours, fit=fit, layout=layout, max_pixels=max_pixels, input=input, output=output
    )


@hookimpl
def modelyard_register_handlers(register: RegisterHandler) -> None:
    """Register the handler."""
    register(
        "image-decode",
        image_decode,
        package=_PACKAGE,
        requirements=_REQUIREMENTS,
        tools=("pillow", "numpy"),
        deterministic=True,
    )
