"""The gates that there are: each quantity can be bounded, and its name, its unit and what is better say how."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from modelyard.errors import ConfigError
from modelyard.metrics import Quantity
from modelyard.params import Fraction, PositiveFloat
from modelyard.units import is_finite, parse_duration_ms, parse_size

if TYPE_CHECKING:
    from modelyard.toml.places import KeyPlace

How = Literal["value", "drop", "ratio"]


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """A gate that a configuration may set.

    Attributes:
        key: what the configuration calls it.
        of: what it bounds: from below where higher is better, unless a drop is bounded.
        unit: the unit of its bound.
        how: whether it bounds the value, how far that lies below the baseline's, or its part of the baseline's.
        by_group: whether it bounds the worst group.
    """

    key: str
    of: Quantity
    unit: str
    how: How = "value"
    by_group: bool = False

    @property
    def can_be_undecided(self) -> bool:
        """Whether what it bounds has an interval, within which the bound may lie."""
        return not self.of.steady or (self.of.sampled and self.how != "ratio" and not self.by_group)

    @property
    def annotation(self) -> Any:
        """The type of its bound in the configuration."""
        return _TYPES.get(self.unit, float) | None

    @property
    def field(self) -> str:
        """Its name where the bound is a number in one unit."""
        return f"{self.key}_{self.unit}" if self.unit in ("bytes", "ms") else self.key

    def parse(self, value: Any, where: str | KeyPlace) -> float:
        """Return the bound as a number in the unit of the gate; a size or a duration may be a text with a unit.

        Raises:
            ConfigError: it cannot be read.
        """
        parse: Callable[[Any, Any], float] = _PARSERS.get(self.unit, _number)
        return parse(value, where)


def gates_of(quantities: Iterable[Quantity]) -> dict[str, Gate]:
    """Return the gates on `quantities` by key."""
    return {gate.key: gate for quantity in quantities for gate in _gates_of(quantity)}


def _gates_of(one: Quantity) -> Iterator[Gate]:
    """Yield the bounds of a value and of its groups; and those that compare it with the baseline's, if it is steady."""
    if one.better == "lower":
        yield Gate(key=f"max_{one.name}", of=one, unit=one.unit)
        if one.steady:
            yield Gate(key=one.ratio_gate or f"max_{one.name}_ratio", of=one, unit="ratio", how="ratio")
        return
    names = {one.name: one.is_worst}
    if one.group and not one.is_worst:
        names[f"{one.group}_{one.name}"] = True
    for name, by_group in names.items():
        yield Gate(key=f"min_{name}", of=one, unit=one.unit, by_group=by_group)
    for name, by_group in names.items() if one.steady else ():
        yield Gate(key=f"max_{name}_drop", of=one, unit=one.unit, how="drop", by_group=by_group)


_TYPES: dict[str, Any] = {
    "fraction": Fraction,
    "bytes": str | int,
    "ms": str | float | int,
    "ratio": PositiveFloat,
    "per second": PositiveFloat,
}


def _fraction(value: Any, where: str | KeyPlace) -> float:
    if is_finite(value) and 0 <= value <= 1:
        return float(value)
    msg = f"{where}: {value!r} is not allowed\n  allowed: a fraction from 0 to 1, for instance 0.02 for two points"
    raise ConfigError(msg)


def _ratio(value: Any, where: str | KeyPlace) -> float:
    if is_finite(value) and value > 0:
        return float(value)
    msg = f"{where}: {value!r} is not allowed\n  allowed: a number above 0, for instance 0.5 for half of the baseline's"
    raise ConfigError(msg)


def _number(value: Any, where: str | KeyPlace) -> float:
    if is_finite(value):
        return float(value)
    msg = f"{where}: {value!r} is not allowed\n  allowed: a number"
    raise ConfigError(msg)


_PARSERS: dict[str, Callable[[Any, Any], float]] = {
    "fraction": _fraction,
    "bytes": parse_size,
    "ms": parse_duration_ms,
    "ratio": _ratio,
}
