"""Metrics as data: what is measured, and what came out. Gates, rules, tables and the report loop over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

Better = Literal["higher", "lower"]
Unit = Literal["", "fraction", "bytes", "ms", "ratio", "per second"]
"""`fraction` is from 0 to 1, `ratio` a part of the baseline's; an empty text: a number without a unit."""
Interval = tuple[float | None, float | None]
"""The ends of a 95 % interval; None where there is too little to say."""


class Quantity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What can be measured of a variant.

    Attributes:
        name: what gates call it: `max_NAME`.
        better: which of two values is the better one.
        unit: the unit of its values.
        title: the head of its column; empty: its name.
        suffix: what messages say behind a value, for instance `after gzip`.
        worse: what a variant is whose value is worse, for instance `larger`; empty: `worse in` and the title.
        group: what there is one further value for, for instance `class`; empty: there are none.
        is_worst: whether its own value is that of the worst group, so that a gate on it is one on the groups.
        steady: whether it is the same every time. What is not is compared by its intervals.
        sampled: whether another test split would give another value, so that it has an interval although it is steady.
        objective: whether it counts on the Pareto front.
        detail: how much a table must tell to have its column: 0 for the narrowest, 3 for those that tell all.
        ratio_gate: the name of the gate on its part of the baseline's; empty: `max_NAME_ratio`.
    """

    name: str
    better: Better
    unit: Unit = ""
    title: str = ""
    suffix: str = ""
    worse: str = ""
    group: str = ""
    is_worst: bool = False
    steady: bool = True
    sampled: bool = False
    objective: bool = True
    detail: int = 2
    ratio_gate: str = ""

    @property
    def head(self) -> str:
        """The head of its column."""
        return self.title or self.name.replace("_", " ")

    @property
    def is_compared(self) -> bool:
        """Whether a report tells its change against the baseline: what says how good the answers are, no size or time."""
        return self.steady and (self.unit == "fraction" or self.sampled)

    def of(
        self,
        value: float,
        interval: Interval | None = None,
        per_group: Mapping[str, float | None] | None = None,
    ) -> Metric:
        """Return this quantity with a value; see `Metric`."""
        own = {name: getattr(self, name) for name in Quantity.__struct_fields__}
        return Metric(**own, value=value, interval=interval, per_group=dict(per_group or {}))


class Metric(Quantity, frozen=True, kw_only=True, omit_defaults=True):
    """A quantity as it was measured of one variant.

    Attributes:
        value: the value, in the quantity's unit.
        interval: its 95 % interval; None: the value is exact.
        per_group: the value of each group, for instance class; None where there is none.
    """

    value: float
    interval: Interval | None = None
    per_group: dict[str, float | None] = {}

    @property
    def low(self) -> float | None:
        """The lower end of the interval; the value itself where that is exact."""
        return self.interval[0] if self.interval else self.value

    @property
    def high(self) -> float | None:
        """The upper end of the interval; the value itself where that is exact."""
        return self.interval[1] if self.interval else self.value

    @property
    def cost(self) -> float:
        """The value, turned round where higher is better: less is better."""
        return -self.value if self.better == "higher" else self.value

    def is_worse(self, other: Metric) -> bool:
        """Tell whether this is worse than `other` beyond doubt: as it is if steady, else with its whole interval."""
        if self.steady:
            return self.cost > other.cost
        best, worst = (self.low, other.high) if self.better == "lower" else (other.low, self.high)
        return best is not None and worst is not None and best > worst


def metric_of(metrics: Iterable[Metric], name: str) -> Metric:
    """Return the metric called `name`, which is there."""
    return next(one for one in metrics if one.name == name)
