"""`selection.json`: every variant with its figures, what the gates say, which are on the Pareto front, and which ships."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from modelyard.errors import ConfigError, GateError, did_you_mean
from modelyard.variants.gates import Gates
from modelyard.variants.pareto import dominators, is_slower
from modelyard.variants.row import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """`selection.json`: what was picked, by which rule, within which gates, out of what.

    Attributes:
        chosen: the variant that ships; empty if none meets every gate.
        rule: the rule that picked it.
        baseline: the variant that relative bounds and latency ratios compare with.
        gates: the bounds.
        front: the variants on the Pareto front over accuracy, size, size after gzip and as a layer, p50 and p99.
        notes: what to know before the latencies are trusted.
        table: all variants.
    """

    chosen: str
    rule: str
    baseline: str
    gates: Gates
    front: tuple[str, ...]
    notes: tuple[str, ...] = ()
    table: tuple[Row, ...]


def with_front(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return the rows with what dominates each; those that are there for comparison alone have no part in it."""
    found = dominators([row for row in rows if not row.control])
    return tuple(msgspec.structs.replace(row, dominated_by=found.get(row.variant, ())) for row in rows)


def front_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the names of the variants on the Pareto front."""
    return tuple(row.variant for row in rows if not row.control and not row.dominated_by)


def _smallest(row: Row) -> tuple[float | str, ...]:
    return row.gzip_bytes, row.size_bytes, -row.accuracy, row.variant


RULES: dict[str, Callable[[Row], tuple[float | str, ...]]] = {
    "smallest": _smallest,
    "smallest-file": lambda row: (row.size_bytes, row.gzip_bytes, -row.accuracy, row.variant),
    "fastest": _smallest,  # of those that are not measurably slower than the fastest
    "most-accurate": lambda row: (-row.accuracy, row.gzip_bytes, row.size_bytes, row.variant),
}
"""The rules, each with what it sorts the variants by; the name, at the end, settles what is still equal."""


def choose(rows: Sequence[Row], rule: str) -> str:
    """Return the name of the variant that `rule` picks among those that miss no gate.

    Raises:
        ConfigError: `rule` is neither a rule nor a variant.
        GateError: there is none.
    """
    names = [row.variant for row in rows]
    if rule not in RULES:
        check_known("rule", rule, (*RULES, *names))
    asked = [row for row in rows if (rule == row.variant or (rule in RULES and not row.control))]
    fitting = [row for row in asked if not row.misses]
    if not fitting:
        raise _none_left(asked, rule)
    if rule == "fastest":
        best = min(fitting, key=lambda row: (row.ratio, *_smallest(row)))
        fitting = [row for row in fitting if not is_slower(row, best)]
    return min(fitting, key=RULES.get(rule, _smallest)).variant


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


def _none_left(asked: Sequence[Row], rule: str) -> GateError:
    head = "no variant meets every gate"
    if rule not in RULES:
        head = f"the variant {rule!r}, which the rule names, does not meet every gate"
    lines = [f"  {row.variant}: {'; '.join(row.misses)}" for row in asked]
    msg = "\n".join((head, *lines, "  change [tool.modelyard.gates], or train or optimize differently"))
    return GateError(msg)
