"""The axes of a matrix and their combinations, whether of variants or of trainings."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, TypeVar

import msgspec

from modelyard.errors import ConfigError
from modelyard.toml.places import Place

Key = TypeVar("Key")
MOST = 256
"""Combinations of one matrix: more than anybody reads in a table; the bound catches an axis too many."""


def part_of_name(value: str | float) -> str:
    """Return a value as a part of a name: lower case, with a dash for what is not a letter, a digit or a dot."""
    return re.sub(r"[^a-z0-9.]+", "-", str(value).lower()).strip("-.")


def scalar_name(value: Any) -> str | None:
    """Return what names call a text, a number or a truth value; None for anything else."""
    return part_of_name(value) if isinstance(value, str | int | float) else None


def list_name(value: Any) -> str | None:
    """Return what names call a scalar or a list of scalars; None for anything else."""
    names = [scalar_name(one) for one in (value if isinstance(value, list) else [value])]
    return None if None in names else "-".join(filter(None, names))


_ALLOWED: dict[Callable[[Any], str | None], str] = {
    scalar_name: "texts, numbers, true and false",
    list_name: "texts, numbers, true, false, and lists of them",
}


def named_values(
    axis: str, values: Any, place: Place, *, of: str, name: Callable[[Any], str | None] = scalar_name
) -> dict[str, Any]:
    """Return the values of an axis by what they are called in names.

    Args:
        axis: the axis as a person writes it.
        values: what the configuration holds.
        place: where it holds them.
        of: what the combinations are, `variant` or `training`.
        name: `scalar_name`, or `list_name` where values may be lists.

    Raises:
        ConfigError: it is no list, or an empty one; a value is of another type, or names cannot tell it from another.
    """
    where = f"{place}: axis {axis!r}"
    if not isinstance(values, list):
        msg = f"{where}: {values!r} is not a list\n  write a list of the values, for instance {axis} = [{as_toml(values)}]"
        raise ConfigError(msg)
    if not values:
        msg = f"{where} is empty\n  give it a value, or leave the matrix out"
        raise ConfigError(msg)
    found: dict[str, Any] = {}
    for value in values:
        text = name(value)
        if text is None:
            msg = f"{where}: {value!r} is not allowed\n  allowed: {_ALLOWED[name]}"
            raise ConfigError(msg)
        if not text or text in found:
            why = f"gives the same name as {found[text]!r}" if text else "gives no name"
            hint = f"values become a part of the {of}'s name, as {text!r}" if text else "write letters or digits"
            msg = f"{where}: {value!r} {why}\n  {hint}"
            raise ConfigError(msg)
        found[text] = value
    return found


def too_many(axes: Mapping[str, Mapping[str, Any]]) -> str:
    """Return how many combinations there are, for a message, if they are more than `MOST`; else nothing."""
    count = math.prod(map(len, axes.values()))
    sizes = " x ".join(f"{len(values)} ({axis})" for axis, values in axes.items())
    return f"{sizes} are {count:,}" if count > MOST else ""


def combinations(
    axes: Mapping[Key, Mapping[str, Any]], excluded: Sequence[Mapping[Key, Any]]
) -> Iterator[tuple[tuple[str, ...], dict[Key, Any]]]:
    """Yield each combination, its values' names and its values by axis; the last axis changes fastest.

    Args:
        axes: the values of each axis by their names.
        excluded: a combination that has all the values of one of these is left out.
    """
    for chosen in product(*(values.items() for values in axes.values())):
        values = dict(zip(axes, (value for _, value in chosen), strict=True))
        if not any(all(same(values[key], value) for key, value in one.items()) for one in excluded):
            yield tuple(text for text, _ in chosen), values


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are one in TOML, where 1, 1.0 and true are three."""
    return type(one) is type(other) and one == other


def as_toml(value: Any) -> str:
    """Return a scalar as TOML, for a message; dots for anything else."""
    return msgspec.json.encode(value).decode() if isinstance(value, str | int | float) else "..."
