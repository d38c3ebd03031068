"""The axes of `[tool.modelyard.trainings.NAME]`'s `matrix`: each is a key of the training with its values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from modelyard.config.matrix import part_of_name
from modelyard.errors import ConfigError
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
        Axis(path, _label(path, ends.count(path[-1]) > 1), _values(path, values, where))
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


def _values(path: Path, values: Any, where: Where) -> dict[str, Any]:
    key, place = ".".join(path), where.at(*path)
    if not isinstance(values, list) or not values:
        what = " is empty" if values == [] else f": {values!r} is not a list"
        msg = f"{place}: axis {key!r}{what}\n  write a list of the values, for instance seed = [0, 1, 2]"
        raise ConfigError(msg)
    found: dict[str, Any] = {}
    for value in values:
        text = _text(value)
        if text is None:
            msg = f"{place}: axis {key!r}: {value!r} is not allowed\n  allowed: texts, numbers, true, false, and lists of them"
            raise ConfigError(msg)
        if not text or text in found:
            why = f"gives the same name as {found[text]!r}" if text else "gives no name"
            msg = f"{place}: axis {key!r}: {value!r} {why}\n  values become a part of the training's name: write others"
            raise ConfigError(msg)
        found[text] = value
    return found


def _text(value: Any) -> str | None:
    """Return a value as a part of a name; None if it cannot be one."""
    scalars: Sequence[Any] = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str | int | float) for one in scalars):
        return None
    return "-".join(part_of_name(one) for one in scalars)
