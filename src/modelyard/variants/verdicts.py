"""The table of all variants for a terminal of 80 columns: which one ships, and why each of the others does not.

It is printed by the `doit` process, which must stay light: nothing here imports numpy.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.variants.row import Row
    from modelyard.variants.selection import Selection

_NAME, _ROWS = 20, 20
"""The longest name that is shown whole, and how many variants are shown."""
_PICKS = {
    "smallest": "the smallest after gzip",
    "smallest-file": "the smallest",
    "fastest": "the smallest of the fastest",
    "most-accurate": "the most accurate",
}


def table_lines(selection: Selection) -> list[str]:
    """Return a line for each variant: its figures, and whether it ships or why not."""
    winner = next((row for row in selection.table if row.variant == selection.chosen), None)
    rows = sorted(selection.table, key=lambda row: _rank(row, winner))
    cells = [(*_figures(row), _verdict(row, winner, selection.rule)) for row in rows[:_ROWS]]
    widths = [max(len(line[column]) for line in (_HEAD, *cells)) for column in range(len(_HEAD))]
    return [_line(line, widths) for line in (_HEAD, *cells)]


_HEAD = ("variant", "accuracy", "gzip", "p50", "")


def summary(selection: Selection) -> str:
    """Return which variant ships, and what picked it; or that none does."""
    rows = [row for row in selection.table if not row.control or row.variant == selection.chosen]
    fitting = [row for row in rows if not row.misses]
    if not selection.chosen and selection.rule not in _PICKS:
        return f"nothing ships: {selection.rule}, which the rule names, does not meet every gate"
    if not selection.chosen:
        return f"nothing ships: of {len(rows)} variants none meets every gate"
    if selection.rule not in _PICKS:
        return f"{selection.chosen} ships: the rule names it"
    many = "the only one that meets" if len(fitting) == 1 else f"{_PICKS[selection.rule]} of {len(fitting)} that meet"
    return f"{selection.chosen} ships: {many} every gate"


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


def _figures(row: Row) -> tuple[str, str, str, str]:
    name = row.variant if len(row.variant) <= _NAME else f"{row.variant[: _NAME - 1]}…"
    return name, f"{row.accuracy:.4f}", _size(row.gzip_bytes), f"{row.p50_ms:.3f} ms"


def _size(size_bytes: int) -> str:
    return f"{size_bytes} B" if size_bytes < 1000 else f"{size_bytes / 1000:,.1f} kB"


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
    if rule not in _PICKS:
        return "not what the rule names"
    if rule == "most-accurate" and row.accuracy < winner.accuracy:
        return "less accurate"
    size = "size_bytes" if rule == "smallest-file" else "gzip_bytes"
    if rule == "fastest" and getattr(row, size) <= getattr(winner, size):
        return "slower"
    return "larger" if getattr(row, size) > getattr(winner, size) else "no better, and later by name"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *numbers, last = cells
    aligned = (cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=False))
    return "  ".join((first.ljust(widths[0]), *aligned, last)).rstrip()
