"""How each metric of a variant differs between two reports, whatever the task measures. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from modelyard.metrics import Better, Quantity, Unit
from modelyard.metrics.standard import GZIP_SIZE, LATENCY_P50, LATENCY_P99, LATENCY_RATIO, LAYER_SIZE, SIZE
from modelyard.report.facts import Interval

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.metrics import Metric
    from modelyard.report.facts import VariantFacts

NOISE = 0.25
"""Two measurements of the same model, days or machines apart, may differ by this part: less is undecided."""

Verdict = Literal["same", "better", "worse", "undecided", "new", "gone"]

_ACCURACY = Quantity(name="accuracy", better="higher", unit="fraction", group="class", sampled=True, detail=0)
"""What reports of the version that had no `metrics` tell of quality."""


class Pair(msgspec.Struct, frozen=True):
    """A value in the first report and in the second; None where there is none."""

    a: float | None
    b: float | None

    @property
    def rise(self) -> float:
        """How far the second lies above the first; 0 where one is missing."""
        return self.b - self.a if self.a is not None and self.b is not None else 0.0


class Intervals(msgspec.Struct, frozen=True):
    """The 95 % interval in each report; None where the value is exact or missing, and for an end that is not known."""

    a: tuple[float | None, float | None] | None
    b: tuple[float | None, float | None] | None

    @property
    def overlap(self) -> bool:
        """Whether both are known and share a value."""
        (low_a, high_a), (low_b, high_b) = self.a or (None, None), self.b or (None, None)
        if low_a is None or high_a is None or low_b is None or high_b is None:
            return False
        return low_a <= high_b and low_b <= high_a


class GroupChange(msgspec.Struct, frozen=True, kw_only=True):
    """A group, for instance a class, and its value in both reports."""

    name: str
    value: Pair


class MetricChange(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of one variant in both reports, or in one.

    Attributes:
        name: the metric's name, as gates call it.
        title: the head of its column.
        unit: the unit of its values; see `Unit`.
        better: which of two values is the better one.
        value: the value in each report.
        interval: its 95 % interval in each.
        verdict: `same`; `better` or `worse` in the second report; `undecided`: the values differ, and that may be chance:
            the intervals overlap, or, of what is not the same every time, the values are less than a quarter apart;
            `new`, `gone`: only one report has it.
        steady: whether it is the same every time.
        group: what it has a further value for, for instance `class`; empty: for nothing.
        groups: those whose value differs and that both reports have, the worst change first.
        detail: how much a table must tell to have its column, from 0 to 3.
    """

    name: str
    title: str
    unit: Unit
    better: Better
    value: Pair
    interval: Intervals
    verdict: Verdict
    steady: bool = True
    group: str = ""
    groups: tuple[GroupChange, ...] = ()
    detail: int = 2

    @property
    def is_told(self) -> bool:
        """Whether the change is told: it is none of chance alone, as that of a latency may be."""
        return self.verdict not in ("same", "undecided") or (self.steady and self.verdict == "undecided")

    @property
    def quantity(self) -> Quantity:
        """What is measured."""
        return Quantity(
            name=self.name, title=self.title, unit=self.unit, better=self.better, steady=self.steady, group=self.group
        )


def metric_changes(old: VariantFacts | None, new: VariantFacts | None) -> Iterator[MetricChange]:
    """Yield each metric of a variant in both reports or in one, in the order of the second.

    A metric that is called the same and is another one, since its unit or its better side is another, is told as two.
    """
    before, after = ({_identity(m): m for m in _metrics(one)} for one in (old, new))
    for key in dict.fromkeys((*after, *before)):
        yield _change(after.get(key) or before[key], before.get(key), after.get(key))


def _identity(metric: Metric) -> tuple[str, str, str]:
    return metric.name, metric.unit, metric.better


def _change(one: Metric, old: Metric | None, new: Metric | None) -> MetricChange:
    """Return how a metric differs; `one` is either of the two that is there."""
    value = Pair(old.value if old else None, new.value if new else None)
    interval = Intervals(old.interval if old else None, new.interval if new else None)
    return MetricChange(
        name=one.name,
        title=one.head,
        unit=one.unit,
        better=one.better,
        value=value,
        interval=interval,
        verdict=_verdict(one, value, interval),
        steady=one.steady,
        group=one.group,
        groups=tuple(_groups(old, new)) if old and new else (),
        detail=one.detail,
    )


def _verdict(quantity: Quantity, value: Pair, interval: Intervals) -> Verdict:
    if value.a is None or value.b is None:
        return "new" if value.a is None else "gone"
    if value.a == value.b:
        return "same"
    near = not quantity.steady and abs(value.rise) <= NOISE * max(abs(value.a), abs(value.b))
    if near or interval.overlap:
        return "undecided"
    return "better" if (value.rise > 0) == (quantity.better == "higher") else "worse"


def _groups(old: Metric, new: Metric) -> list[GroupChange]:
    """Return the groups of both whose value differs, by name, the worst change first."""
    found = [
        GroupChange(name=name, value=Pair(old.per_group[name], value))
        for name, value in new.per_group.items()
        if name in old.per_group and old.per_group[name] != value
    ]
    return sorted(found, key=lambda one: one.value.rise if new.better == "higher" else -one.value.rise)


def _metrics(variant: VariantFacts | None) -> tuple[Metric, ...]:
    """Return what a report has of a variant as metrics; one of an older version has the same in fields."""
    if variant is None:
        return ()
    return variant.metrics or tuple(_of_older_version(variant))


def _of_older_version(variant: VariantFacts) -> Iterator[Metric]:
    if variant.accuracy is not None:
        yield _ACCURACY.of(variant.accuracy, per_group=dict(zip(variant.class_names, variant.per_class, strict=False)))
    sizes = (SIZE, variant.size_bytes), (GZIP_SIZE, variant.gzip_bytes), (LAYER_SIZE, variant.layer_bytes)
    yield from (quantity.of(size) for quantity, size in sizes if size is not None)
    ratio = variant.latency_ratio or Interval(value=1.0, low=1.0, high=1.0)  # the baseline takes as long as itself
    times = (LATENCY_P50, variant.p50_ms), (LATENCY_P99, variant.p99_ms), (LATENCY_RATIO, ratio)
    yield from (quantity.of(time.value, (time.low, time.high)) for quantity, time in times)
