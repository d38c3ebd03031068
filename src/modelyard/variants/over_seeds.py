"""What variants have in common that differ in their training's seed alone: the mean of each metric, and its spread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from modelyard.metrics import Interval, Metric, Quantity
from modelyard.metrics.figures import number

if TYPE_CHECKING:
    from modelyard.stage_settings import Lineage
    from modelyard.variants.row import Row


class OverSeeds(msgspec.Struct, frozen=True, kw_only=True):
    """Variants that differ in the seed alone, as one.

    Attributes:
        variant: the name that they have but for that.
        members: the variants, each of which is a model that may ship.
        metrics: the mean of each metric that says how good the answers are, with its 95 % interval by Student's t:
            another seed's value differs from it by more.
        deviations: the standard deviation of each of these metrics, with `n - 1`, by name.
    """

    variant: str
    members: tuple[str, ...]
    metrics: tuple[Metric, ...]
    deviations: dict[str, float]


def over_seeds(rows: Sequence[Row], lineages: Mapping[str, Lineage]) -> tuple[OverSeeds, ...]:
    """Return the variants with more than one seed, in the order of the table; a baseline for comparison has no part."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        lineage = lineages.get(row.variant)
        if lineage and lineage.over_seeds and not row.control:
            groups.setdefault(lineage.over_seeds, []).append(row)
    return tuple(
        joined(name, {row.variant: row.metrics for row in members})
        for name, members in groups.items()
        if len(members) > 1
    )


def joined(name: str, members: Mapping[str, Sequence[Metric]], *, overlap: float = 0.0) -> OverSeeds:
    """Return the mean of each metric that a training may shape, and its spread.

    Args:
        name: what the members are called together.
        members: the metrics of each, by its name; two or more.
        overlap: for members that share what they train on, see `few_interval`.
    """
    from statistics import fmean, stdev  # who only reads a selection needs none of it

    from modelyard.metrics.intervals import few_interval

    first, values = next(iter(members.values())), dict(_values([*members.values()]))
    known = {one.name: one for one in first}
    return OverSeeds(
        variant=name,
        members=tuple(members),
        metrics=tuple(
            _plain(known[one]).of(fmean(found), _possible(known[one], few_interval(found, overlap)))
            for one, found in values.items()
        ),
        deviations={one: stdev(found) for one, found in values.items()},
    )


def _values(members: Sequence[Sequence[Metric]]) -> Iterator[tuple[str, list[float]]]:
    """Yield what each metric that a seed may shape is of each member."""
    for one in members[0]:
        found = [its.value for metrics in members for its in metrics if its.name == one.name]
        if one.is_compared and len(found) == len(members):
            yield one.name, found


def _possible(metric: Metric, interval: Interval) -> Interval:
    """Return the interval without what no value can be: a fraction lies between 0 and 1."""
    low, high = interval
    if metric.unit != "fraction" or low is None or high is None:
        return interval
    return max(0.0, low), min(1.0, high)


def _plain(metric: Metric) -> Quantity:
    return Quantity(**{name: getattr(metric, name) for name in Quantity.__struct_fields__})


def told(one: OverSeeds) -> str:
    """Return the first metric in words: `accuracy 0.9712 ± 0.0031 over 3 trainings; mean 0.9635 to 0.9789`."""
    metric = one.metrics[0]
    if not any(one.deviations.values()):
        same = f"{metric.head} {number(metric.value, metric.unit)} with each of {len(one.members)} trainings"
        return f"{same}: the seed changes nothing; does the training use it? (a command gets {{seed}})"
    return spread(one, "trainings")


def spread(one: OverSeeds, what: str) -> str:
    """Return the first metric with its deviation and the mean's interval, in words; `what`: what the members are."""
    metric = one.metrics[0]
    low, high = metric.interval or (None, None)
    deviation = number(one.deviations[metric.name], metric.unit)
    ends = "" if low is None or high is None else f"; mean {number(low, metric.unit)} to {number(high, metric.unit)}"
    value = number(metric.value, metric.unit)
    return f"{metric.head} {value} ± {deviation} over {len(one.members)} {what}{ends}"
