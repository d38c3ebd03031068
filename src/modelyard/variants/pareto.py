"""Which variants are worth a look: the Pareto front, with room for the noise of what is measured anew each time."""

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
    """Tell whether `one` is at least as good as `other` in every objective, and better in something.

    What is the same every time, as accuracy and sizes, is compared as it is. What is not, as a latency, counts as worse
    only if it is measurably so: if its whole interval lies beyond the other's. Two rows that differ in such metrics
    alone are told apart if one is measurably better in one of them, and its estimate is no worse in the others. With
    these rules no rows dominate each other in a circle, so a front always exists.
    """
    others = {its.name: its for its in other.metrics}
    pairs = [(own, others[own.name]) for own in one.metrics if own.objective and own.name in others]
    if any(own.is_worse(its) for own, its in pairs):
        return False
    if any(own.cost != its.cost for own, its in pairs if own.steady):
        return True
    noisy = [(own, its) for own, its in pairs if not own.steady]
    return all(own.cost <= its.cost for own, its in noisy) and any(its.is_worse(own) for own, its in noisy)
