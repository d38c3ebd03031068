"""`selection.json`: every variant with its figures, what the gates say, which are on the Pareto front, and which ships."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, UnsetType

from modelyard.errors import ConfigError, GateError, did_you_mean
from modelyard.metrics.rules import rules_of, ties
from modelyard.variants.over_seeds import OverSeeds
from modelyard.variants.pareto import dominators
from modelyard.variants.row import Row

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """`selection.json`: what was picked, by which rule, within which gates, out of what.

    Attributes:
        chosen: the variant that ships; empty if none meets every gate.
        rule: the rule that picked it.
        baseline: the variant that relative bounds and latency ratios compare with; with several trainings that of the
            first one, and each row has its own.
        gates: the bounds that are set, each in one unit, and how what is undecided counts.
        front: the variants on the Pareto front over all metrics that are objectives.
        notes: what to know before the latencies are trusted.
        over_seeds: variants that differ in the seed of their training alone, as one; not there if there are none.
        cross_validation: the variants as they do on what the folds of a cross-validation hold out; not there if there is none.
        table: all variants.
    """

    chosen: str
    rule: str
    baseline: str
    gates: dict[str, float | str]
    front: tuple[str, ...]
    notes: tuple[str, ...] = ()
    over_seeds: tuple[OverSeeds, ...] | UnsetType = UNSET
    cross_validation: tuple[OverSeeds, ...] | UnsetType = UNSET
    table: tuple[Row, ...]


def with_front(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return the rows with what dominates each; those that are there for comparison alone have no part in it."""
    found = dominators([row for row in rows if not row.control])
    return tuple(msgspec.structs.replace(row, dominated_by=found.get(row.variant, ())) for row in rows)


def front_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the names of the variants on the Pareto front."""
    return tuple(row.variant for row in rows if not row.control and not row.dominated_by)


def choose(rows: Sequence[Row], rule: str) -> str:
    """Return the name of the variant that `rule` picks among those that miss no gate.

    Raises:
        ConfigError: `rule` is neither a rule nor a variant.
        GateError: there is none.
    """
    names = [row.variant for row in rows]
    rules = rules_of(metric for row in rows[:1] for metric in row.metrics)
    if rule not in rules:
        check_known("rule", rule, (*rules, *names))
    asked = [row for row in rows if (rule == row.variant or (rule in rules and not row.control))]
    fitting = [row for row in asked if not row.misses]
    if not fitting:
        raise _none_left(asked, rule, is_rule=rule in rules)
    if rule in rules:
        fitting = _best(fitting, rules[rule])
    return min(fitting, key=_ties).variant


def _best(rows: Sequence[Row], metric: str) -> list[Row]:
    """Return the rows that are not worse in `metric` than the best one: of what is not steady, not measurably worse."""
    best = min(rows, key=lambda row: (row.metric(metric).cost, *_ties(row)))
    return [row for row in rows if not row.metric(metric).is_worse(best.metric(metric))]


def _ties(row: Row) -> tuple[float | str, ...]:
    """Return what settles what is equal by the rule; the name settles what is still equal."""
    return *(row.metric(name).cost for name in ties(row.metrics)), row.variant


def check_known(key: str, value: str, allowed: Collection[str]) -> None:
    """Refuse the `value` of `key` if it is none of `allowed`.

    Raises:
        ConfigError: it is none.
    """
    if value not in allowed:
        msg = (
            f"[tool.modelyard.select]: key {key!r}: unknown {value!r}{did_you_mean(value, allowed)}\n"
            f"  allowed: {', '.join(allowed)}"
        )
        raise ConfigError(msg)


def _none_left(asked: Sequence[Row], rule: str, *, is_rule: bool) -> GateError:
    head = "no variant meets every gate"
    if not is_rule:
        head = f"the variant {rule!r}, which the rule names, does not meet every gate"
    lines = [f"  {row.variant}: {'; '.join(row.misses)}" for row in asked]
    msg = "\n".join((head, *lines, "  change [tool.modelyard.gates], or train or optimize differently"))
    return GateError(msg)
