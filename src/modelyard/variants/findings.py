"""What a gate looks at: a value, how far it lies below the baseline's, or its part of the baseline's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from modelyard.metrics.figures import bound, ends, number, said
from modelyard.variants.paired import pairs_interval

if TYPE_CHECKING:
    from modelyard.metrics import Interval, Metric
    from modelyard.metrics.gating import Gate
    from modelyard.variants.evaluation import Measured

_ROUNDING = 1e-9
"""Room for the rounding of a difference of two accuracies: 0.95 - 0.93 is not 0.02."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A value that is held against a bound.

    Attributes:
        value: the value.
        interval: its 95 % interval; None: it is exact.
        from_below: whether the bound is the least that it may be; else it is the most.
        unit: its unit.
        subject: what a message says of it, before the comparison.
        verb: the verb of that comparison, with a space behind it.
        room: how far beyond the bound is rounding.
    """

    value: float
    interval: Interval | None
    from_below: bool
    unit: str
    subject: str
    verb: str = "is "
    room: float = 0.0

    def is_within(self, limit: float) -> bool:
        """Tell whether the value itself meets the bound `limit`."""
        return self._meets(self.value, limit)

    def is_met(self, limit: float) -> bool:
        """Tell whether the bound is met, noise included."""
        low, high = self.interval or (self.value, self.value)
        return self._meets(low if self.from_below else high, limit)

    def is_missed(self, limit: float) -> bool:
        """Tell whether the bound is missed, noise included."""
        low, high = self.interval or (self.value, self.value)
        best = high if self.from_below else low
        return best is not None and not self._meets(best, limit)

    def compared(self, limit: float) -> str:
        """Return what is said of a value that does not surely meet the bound `limit`."""
        beyond = f"{self.verb}{'below' if self.from_below else 'more than'}"
        told = beyond if self.is_missed(limit) else "may be more or less than"
        return f"{self.subject}{'' if told.startswith(',') else ' '}{told} {bound(limit)}"

    def _meets(self, end: float | None, limit: float) -> bool:
        if end is None:
            return False
        return end >= limit - self.room if self.from_below else end <= limit + self.room


def finding(gate: Gate, variant: Measured, baseline: Measured) -> Finding | None:
    """Return what `gate` looks at; None if there is nothing, as for the classes of which none has a test sample.

    An evaluation that is older than the metric has none of it, either.
    """
    own, other = (one.metrics.get(gate.of.name) for one in (variant, baseline))
    if own is None or other is None:
        return None
    if gate.how == "ratio":
        return _ratio(own, other)
    if gate.how == "drop":
        return _group_drop(own, other) if gate.by_group else _drop(own, other, pairs_interval(own, variant, baseline))
    return _worst_group(own) if gate.by_group else _value(own)


def _value(own: Metric) -> Finding:
    return Finding(
        value=own.value,
        interval=own.interval,
        from_below=own.better == "higher",
        unit=own.unit,
        subject=f"{said(own, own.value)}{ends(own.interval, own.unit)}",
        verb="are " if own.unit == "bytes" else "is ",
    )


def _worst_group(own: Metric) -> Finding | None:
    """Return the lowest value of a group. It is the extreme of many, so no interval of a single one fits it."""
    found = [(value, name) for name, value in own.per_group.items() if value is not None]
    if not found:
        return None
    value, name = min(found)
    subject = f"{said(own, value)} on {name!r}"
    return Finding(value=value, interval=None, from_below=True, unit=own.unit, subject=subject)


def _drop(own: Metric, other: Metric, interval: Interval | None) -> Finding:
    value = other.value - own.value
    subject = f"{number(value, own.unit)} below the baseline{ends(interval, own.unit)}"
    return Finding(value=value, interval=interval, from_below=False, unit=own.unit, subject=subject, room=_ROUNDING)


def _group_drop(own: Metric, other: Metric) -> Finding | None:
    """Return the largest drop of a group; see `_worst_group`."""
    pairs = [(other.per_group.get(name), value, name) for name, value in own.per_group.items()]
    drops = [(before - now, name) for before, now, name in pairs if before is not None and now is not None]
    if not drops:
        return None
    value, name = max(drops)
    subject = f"on {name!r} {number(value, own.unit)} below the baseline"
    return Finding(value=value, interval=None, from_below=False, unit=own.unit, subject=subject, room=_ROUNDING)


def _ratio(own: Metric, other: Metric) -> Finding:
    """Return a part of the baseline's; all but nothing is infinitely much of nothing."""
    value = own.value / other.value if other.value else math.inf if own.value else 1.0
    verb = "are" if own.unit == "bytes" else "is"
    subject = f"{said(own, own.value)} {verb} {value:.3f} of the baseline's"
    return Finding(value=value, interval=None, from_below=False, unit="ratio", subject=subject, verb=", ")
