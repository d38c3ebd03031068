"""JPEG and PNG to pixels."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from modelyard.serving.handlers import Handler, Place, Tensors

_MODES = {"rgb": "RGB", "grey": "L"}
_FORMATS = ("JPEG", "PNG")


def image_decode(
    place: Place,
    *,
    size: tuple[int, int],
    colours: str,
    fit: str,
    layout: str,
    max_pixels: int,
    input: str,  # noqa: A002 - the word of the configuration
    output: str,
) -> Handler:
    """Return what decodes pictures to pixels, uint8, 0 to 255.

    Args:
        place: where it stands.
        size: height and width of what it gives, in pixels.
        colours: `rgb`, three channels, or `grey`, one.
        fit: how a picture gets that size: see `_fitted`.
        layout: `channels-last` or `channels-first`.
        max_pixels: the pixels that a picture may have; its size is looked at before it is decoded.
        input: what the tensor that it takes is called.
        output: what the one is called that it gives.
    """
    from PIL import Image, ImageOps

    channels = len(_MODES[colours]) if colours == "rgb" else 1
    size = (size[0], size[1])  # a list where it is read from JSON
    shape = (*size, channels) if layout == "channels-last" else (channels, *size)

    def decoded(data: bytes) -> Any:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            pixels = picture.width * picture.height
            if pixels > max_pixels:
                msg = f"{picture.width} x {picture.height} pixels; at most {max_pixels} in all"
                raise ValueError(msg)
            if picture.mode.startswith(("I", "F")):
                msg = f"more than 8 bits a channel ({picture.mode}); allowed: 8"
                raise ValueError(msg)
            upright = ImageOps.exif_transpose(picture)  # a camera that was held upright says so beside the pixels
            return _fitted(upright.convert(_MODES[colours]), size, fit)

    def pixels(data: bytes) -> np.ndarray[Any, Any]:
        try:
            array = np.asarray(decoded(data), np.uint8).reshape(*size, channels)
        except (OSError, SyntaxError, EOFError, struct.error, zlib.error, Image.DecompressionBombError) as exc:
            msg = f"not a JPEG or PNG that can be decoded: {_line(exc)}"
            raise ValueError(msg) from exc
        return array if layout == "channels-last" else array.transpose(2, 0, 1)

    def run(tensors: Tensors) -> dict[str, Any]:
        return {output: np.stack([pixels(data) for data in tensors[input]])}

    return place.handler(run, [place.tensor(input, "bytes")], [place.tensor(output, "uint8", shape)], cacheable=True)


def _fitted(picture: Any, size: tuple[int, int], fit: str) -> Any:
    """Return a picture of `size`, height and width.

    `stretch` changes its proportions; `crop` keeps them and cuts off what is too much on both sides; `pad` keeps them and
    adds black where something is missing.
    """
    from PIL import Image, ImageOps

    wanted, method = (size[1], size[0]), Image.Resampling.BILINEAR
    if picture.size == wanted:
        return picture
    if fit == "stretch":
        return picture.resize(wanted, method)
    return (ImageOps.fit if fit == "crop" else ImageOps.pad)(picture, wanted, method)


def _line(exc: BaseException) -> str:
    """Return what is wrong, without the address of the object that it was read from."""
    text = " ".join(str(exc).split()).partition(" <_io.")[0]
    return text or type(exc).__name__
