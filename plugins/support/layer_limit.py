"""How much of a model one layer of an image may hold: a parameter that image builders share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.contexts import Problem
from modelyard.errors import ConfigError
from modelyard.units import parse_size

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT = "10 GB"
"""What several registries take."""


def limit_bytes(layer_max: str) -> int:
    """Return the limit in bytes.

    Raises:
        ConfigError: it is no size.
    """
    return parse_size(layer_max, "layer_max")


def problems(layer_max: str) -> Iterator[Problem]:
    """Yield that it is no size."""
    try:
        limit_bytes(layer_max)
    except ConfigError as exc:
        why, _, advice = str(exc).removeprefix("layer_max: ").partition("\n  ")
        yield Problem("layer_max", why, advice)
