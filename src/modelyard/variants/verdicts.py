"""The table of all variants for a terminal of 80 columns: which one ships, and why each of the others does not.

It is printed by the `doit` process, which must stay light: nothing here imports numpy.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from modelyard.metrics.figures import cell
from modelyard.metrics.rules import picks, rules_of, ties
from modelyard.variants.over_seeds import spread, told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.metrics import Metric
    from modelyard.variants.row import Row
    from modelyard.variants.selection import Selection

_NAME, _ROWS = 20, 20
"""The longest name that is shown whole, and how many variants are shown."""
_GROUPS = 6
"""How many means over seeds are shown."""


def table_lines(selection: Selection) -> list[str]:
    """Return a line for each variant: its figures, and whether it ships or why not."""
    winner = next((row for row in selection.table if row.variant == selection.chosen), None)
    rows = sorted(selection.table, key=lambda row: _rank(row, winner))
    columns = _columns(rows[0], selection.rule)
    head = ("variant", *(rows[0].metric(name).head for name in columns), "")
    names = _short([row.variant for row in rows[:_ROWS]])
    cells = [
        (name, *(cell(row.metric(column)) for column in columns), _verdict(row, winner, selection.rule))
        for name, row in zip(names, rows, strict=False)
    ]
    widths = [max(len(line[column]) for line in (head, *cells)) for column in range(len(head))]
    return [_line(line, widths) for line in (head, *cells)]


def _columns(row: Row, rule: str) -> list[str]:
    """Return the metrics of the narrowest table: the task's first, what the rule goes by, and those that always have room.

    A rule that goes by a latency has its column among the last.
    """
    picked = rules_of(row.metrics).get(rule)
    first, *others = row.metrics
    return [first.name, *(one.name for one in others if not one.detail or (one.name == picked and one.steady))]


def summary(selection: Selection) -> str:
    """Return which variant ships, and what picked it; or that none does."""
    rows = [row for row in selection.table if not row.control or row.variant == selection.chosen]
    fitting = [row for row in rows if not row.misses]
    pick = _pick(selection)
    if not selection.chosen and not pick:
        return f"nothing ships: {selection.rule}, which the rule names, does not meet every gate"
    if not selection.chosen:
        return f"nothing ships: of {len(rows)} variants none meets every gate"
    if not pick:
        return f"{selection.chosen} ships: the rule names it"
    many = "the only one that meets" if len(fitting) == 1 else f"{pick} of {len(fitting)} that meet"
    return f"{selection.chosen} ships: {many} every gate"


def _pick(selection: Selection) -> str:
    """Return what the rule picks, in words; empty if it names a variant."""
    metric = _metric_of(selection.rule, selection.table[0])
    return picks(selection.rule, metric.head) if metric else ""


def _metric_of(rule: str, row: Row) -> Metric | None:
    """Return the metric that `rule` looks at first; None if it names a variant."""
    name = rules_of(row.metrics).get(rule)
    return row.metric(name) if name else None


def seed_lines(selection: Selection) -> list[str]:
    """Return a line for each of those that differ in the seed alone, that of the one which ships first."""
    groups = sorted(selection.over_seeds or (), key=lambda one: selection.chosen not in one.members)
    more = [f"and {len(groups) - _GROUPS} more over seeds"] if len(groups) > _GROUPS else []
    return [*(f"{one.variant}: {told(one)}" for one in groups[:_GROUPS]), *more, *_fold_lines(selection)]


def _fold_lines(selection: Selection) -> list[str]:
    """Return a line for each variant of a cross-validation, that of the one which ships first, then the best."""
    groups = list(selection.cross_validation or ())
    groups.sort(key=lambda one: (one.variant != selection.chosen, one.metrics[0].cost))
    more = [f"and {len(groups) - _GROUPS} more over folds"] if len(groups) > _GROUPS else []
    return [*(f"{one.variant}: {spread(one, 'folds')}" for one in groups[:_GROUPS]), *more]


def missed_most(selection: Selection) -> str:
    """Return the gate that most variants miss; empty if none misses any."""
    found = Counter(gate for row in selection.table for gate in gates_of(row.misses))
    return found.most_common(1)[0][0] if found else ""


def gates_of(misses: Sequence[str]) -> list[str]:
    """Return the names of the gates that `misses` are about, each once."""
    return list(dict.fromkeys(miss.partition(":")[0] for miss in misses))


def _rank(row: Row, winner: Row | None) -> tuple[bool, bool, bool]:
    """Return what a table too long for a terminal is cut by: the one that ships, what could, comparisons, misses."""
    return row is not winner, bool(row.misses), row.control


def _short(names: Sequence[str]) -> list[str]:
    """Return names that a terminal has room for: long ones without their ends, or, if that makes two one, their beginnings."""
    cut = [name if len(name) <= _NAME else f"{name[: _NAME - 1]}…" for name in names]
    if len({*cut}) == len(cut):
        return cut
    return [name if len(name) <= _NAME else f"…{name[1 - _NAME :]}" for name in names]


def _verdict(row: Row, winner: Row | None, rule: str) -> str:
    if row is winner:
        return "ships"
    if row.misses:
        gates = gates_of(row.misses)
        return f"misses {gates[0] if len(gates) == 1 else f'{len(gates)} gates'}"
    if row.control:
        return "for comparison"
    return _beaten(row, winner, rule) if winner else ""


def _beaten(row: Row, winner: Row, rule: str) -> str:
    """Return why `rule` picked `winner` and not a variant that meets every gate as well."""
    first = _metric_of(rule, row)
    if first is None:
        return "not what the rule names"
    if first.is_worse(winner.metric(first.name)):
        return _worse(first)
    differing = [row.metric(name) for name in ties(row.metrics) if row.metric(name).cost != winner.metric(name).cost]
    if not differing:
        return "no better, and later by name"
    tie = differing[0]
    return _worse(tie) if tie.is_worse(winner.metric(tie.name)) else _worse(first)


def _worse(metric: Metric) -> str:
    return metric.worse or f"worse in {metric.head}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *numbers, last = cells
    aligned = (cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=False))
    return "  ".join((first.ljust(widths[0]), *aligned, last)).rstrip()
