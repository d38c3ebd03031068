"""Which variants are worth a look: the Pareto front, with room for the noise of latencies."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.variants.row import Row


def dominators(rows: Sequence[Row]) -> dict[str, tuple[str, ...]]:
    """Return, for each variant, those that dominate it, in the order of the table; none: it is on the front.

    The rows' latencies are compared by their intervals; see `dominates`.
    """
    return {row.variant: tuple(other.variant for other in rows if dominates(other, row)) for row in rows}


def dominates(one: Row, other: Row) -> bool:
    """Tell whether `one` is at least as good as `other` in everything, and better in something.

    Accuracy, size, size after gzip and size as a layer are compared as they are. A latency counts as worse only if it is measurably
    so: if its whole interval lies above the other's. Two rows that differ in latency alone are told apart if one is
    measurably better in one of p50 and p99, and its estimate is no worse in the other. With these rules no rows
    dominate each other in a circle, so a front always exists.
    """
    own, others = _exact(one), _exact(other)
    if any(a > b for a, b in zip(own, others, strict=True)) or is_slower(one, other) or _has_slower_tail(one, other):
        return False
    if own != others:
        return True
    estimates = _speed(one)[1] <= _speed(other)[1] and one.p99_ms <= other.p99_ms
    return estimates and (is_slower(other, one) or _has_slower_tail(other, one))


def is_slower(one: Row, other: Row) -> bool:
    """Tell whether the median latency of `one` is measurably above that of `other`.

    Both were measured in turns with the baseline, so their ratios to it are compared.
    """
    return _is_above(_speed(one)[0], _speed(other)[2])


def _has_slower_tail(one: Row, other: Row) -> bool:
    return _is_above(one.p99_low_ms, other.p99_high_ms)


def _speed(row: Row) -> tuple[float | None, float, float | None]:
    return row.ratio_low, row.ratio, row.ratio_high


def _is_above(low: float | None, high: float | None) -> bool:
    return low is not None and high is not None and low > high


def _exact(row: Row) -> tuple[float, int, int, int]:
    """Return what is the same every time; less is better."""
    return -row.accuracy, row.size_bytes, row.gzip_bytes, row.layer_bytes
