"""Handler `normalize`: pixels to the range that a model was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from modelyard import hookimpl
from modelyard.contexts import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.contexts import CheckContext
    from modelyard.hookspecs import RegisterHandler
    from modelyard.serving.handlers import Handler, Place

_PACKAGE = Path(__file__).with_name("modelyard_handlers")


def normalize(
    place: Place,
    *,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    dtype: Literal["uint8", "float32"] = "uint8",
    layout: Literal["channels-last", "channels-first"] = "channels-last",
    input: str = "pixels",  # noqa: A002 - the word of the configuration
    output: str = "pixels",
) -> Handler:
    """Takes off the mean and divides by the deviation that a model was trained with: float32, (x - mean) / std.

    Args:
        place: where it stands.
        mean: one number, or one for each channel, in the units of what comes in: of pixels 0 to 255
        std: the same of the deviation; mean = [127.5] and std = [127.5] make pixels -1 to 1
        dtype: the type of what comes in: uint8, as image-decode gives it, or float32
        layout: whether the channels come last or first
        input: what the pixels are called that come in
        output: what the model calls them
    """
    from modelyard_plugins.handlers import modelyard_handlers

    return modelyard_handlers.normalize(
        place, mean=mean, std=std, dtype=dtype, layout=layout, input=input, output=output
    )


def problems(_context: CheckContext, **params: Any) -> Iterator[Problem]:
    """Yield what cannot be computed with."""
    mean, std = params["mean"], params["std"]
    if not mean or not std or (len(mean) != len(std) and 1 not in (len(mean), len(std))):
        yield Problem("std", f"{len(std)} beside {len(mean)} of mean", "give one, or one for each channel, of both")
    if not all(one > 0 for one in std):
        yield Problem("std", f"{min(std)} divides nothing", "give numbers above 0")


@hookimpl
def modelyard_register_handlers(register: RegisterHandler) -> None:
    """Register the handler."""
    register("normalize", normalize, package=_PACKAGE, check=problems, tools=("numpy",), deterministic=True)
