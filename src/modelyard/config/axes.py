"""The axes of `[tool.modelyard.trainings.NAME]`'s `matrix`: each is a key of the training with its values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from modelyard.config.grid import list_name, named_values, part_of_name
from modelyard.toml.places import Where

Path = tuple[str, ...]
"""The parts of a dotted key: `("train", "learning_rate")`."""


class Axis(msgspec.Struct, frozen=True):
    """A key with its values.

    Attributes:
        path: the key: `("train", "learning_rate")`.
        label: what names call it: `learning-rate`.
        values: each value by what names call it.
    """

    path: Path
    label: str
    values: dict[str, Any]

    @property
    def key(self) -> str:
        """The key as a person writes it."""
        return ".".join(self.path)


def axes_of(table: Mapping[str, Any], where: Where) -> list[Axis]:
    """Return the axes of a `matrix`, in its order.

    Raises:
        ConfigError: an axis holds no list, no value, one that is neither a scalar nor a list of scalars, or two that
            names cannot tell apart.
    """
    found = dict(leaves(table))
    ends = [path[-1] for path in found]
    return [
        Axis(
            path,
            _label(path, ends.count(path[-1]) > 1),
            named_values(".".join(path), values, where.at(*path), of="training", name=list_name),
        )
        for path, values in found.items()
    ]


def leaves(table: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield each value in nested tables with its path."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def nested(values: Mapping[Path, Any]) -> dict[str, Any]:
    """Return nested tables with each value at its path."""
    found: dict[str, Any] = {}
    for path, value in values.items():
        table = found
        for part in path[:-1]:
            table = table.setdefault(part, {})
        table[path[-1]] = value
    return found


def _label(path: Path, is_ambiguous: bool) -> str:
    return part_of_name("-".join(path) if is_ambiguous else path[-1])
