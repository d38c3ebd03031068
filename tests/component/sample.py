"""A component of a plugin's, with parameters of several kinds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from modelyard.component import Component, Source
from modelyard.params import Fraction, InputPath, PositiveInt

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelyard.contexts import StageContext


def prune(
    context: StageContext,
    *,
    sparsity: Fraction = 0.5,
    epochs: PositiveInt,
    schedule: Literal["constant", "polynomial"] = "constant",
    mask: InputPath | None = None,
) -> None:
    """Set small weights to zero.

    Longer text: with a colon.

    Args:
        context: not a parameter of the configuration.
        sparsity: how many weights are zero
            when it is done.
        epochs (int): how often the data is seen.

    Raises:
        DataError: never.
    """


def component(function: Callable[..., Any]) -> Component:
    return Component("optimizer", "x", function, Source("p", "project", Path("plugins/p.py")))
