"""`selection.json`: every variant with its figures, what the gates say, which are on the Pareto front, and which ships."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from modelyard.errors import ConfigError, GateError, did_you_mean
from modelyard.stages.gates import Gates, Judgement
from modelyard.stages.pareto import dominators, is_slower

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from modelyard.stages.evaluation import Measured


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One variant in the table.

    Attributes:
        variant: its name.
        accuracy: fraction of the test split that it labels rightly.
        size_bytes: size of the model's file.
        gzip_bytes: its size after gzip.
        layer_bytes: size of its layer in an image.
        p50_ms: half of the calls with one sample took no longer.
        p99_ms: 99 of 100 calls with one sample took no longer.
        p99_low_ms: lower end of its interval, or None.
        p99_high_ms: upper end of its interval, or None.
        ratio: its median latency as a part of the baseline's; below 1 is faster.
        ratio_low: lower end of its interval, or None.
        ratio_high: upper end of its interval, or None.
        compared_with: the variant that bounds on a drop in accuracy compare it with.
        trained_unlike: why that is not a baseline that was trained as long, where one was wanted; else empty.
        control: whether it is there for that comparison only: a baseline that was trained as long as other variants
            were. It ships only if the rule is its name.
        misses: each gate that it misses, with value and bound; it does not ship if there is one.
        undecided: each gate on latency whose bound lies within the noise, and whether it passes; one that fails is
            missed, too.
        warnings: what the model optimizers of its chain warned of.
        dominated_by: the variants that are at least as good in everything and better in something; none: it is on
            the Pareto front.
    """

    variant: str
    accuracy: float
    size_bytes: int
    gzip_bytes: int
    layer_bytes: int
    p50_ms: float
    p99_ms: float
    p99_low_ms: float | None = None
    p99_high_ms: float | None = None
    ratio: float = 1.0
    ratio_low: float | None = 1.0
    ratio_high: float | None = 1.0
    compared_with: str = ""
    trained_unlike: str = ""
    control: bool = False
    misses: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    dominated_by: tuple[str, ...] = ()


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


def row_of(
    variant: str,
    measured: Measured,
    judgement: Judgement,
    *,
    compared_with: str = "",
    trained_unlike: str = "",
    control: bool = False,
) -> Row:
    """Return the row of a variant, without what dominates it."""
    evaluation, latency, ratio = measured.evaluation, measured.latency, measured.latency.ratio
    return Row(
        variant=variant,
        accuracy=evaluation.accuracy,
        size_bytes=evaluation.size_bytes,
        gzip_bytes=evaluation.gzip_bytes,
        layer_bytes=evaluation.layer_bytes,
        p50_ms=latency.p50_ms,
        p99_ms=latency.p99_ms,
        p99_low_ms=latency.p99_low_ms,
        p99_high_ms=latency.p99_high_ms,
        ratio=ratio.p50 if ratio else 1.0,
        ratio_low=ratio.low if ratio else 1.0,
        ratio_high=ratio.high if ratio else 1.0,
        compared_with=compared_with,
        trained_unlike=trained_unlike,
        control=control,
        misses=judgement.misses,
        undecided=judgement.undecided,
        warnings=evaluation.warnings,
    )


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
