"""The table of all variants as Markdown that is readable as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.metrics.figures import cell, ends, number

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from modelyard.metrics import Metric
    from modelyard.variants.over_seeds import OverSeeds
    from modelyard.variants.row import Row
    from modelyard.variants.selection import Selection


def render_table(selection: Selection) -> str:
    """Return the table, and below it what has to be said of single variants and of the latencies."""
    body = [_cells(row, selection) for row in selection.table]
    head = ("variant", *(one.head for one in selection.table[0].metrics), "Pareto", "")
    widths = [max(3, *(len(line[column]) for line in (head, *body))) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:-2]), *("-" * w for w in widths[-2:])]
    notes = _notes(selection)
    table = "".join(_line(cells, widths) for cells in (head, rule, *body))
    table += _joined("over seeds", selection.over_seeds or ()) + _joined("over folds", selection.cross_validation or ())
    return table + ("\n" + "".join(f"- {note}\n" for note in notes) if notes else "")


def _joined(title: str, groups: Sequence[OverSeeds]) -> str:
    """Return the table of what is measured several times: mean, standard deviation, and the mean's interval."""
    if not groups:
        return ""
    head = (title, "n", *(one.head for one in groups[0].metrics))
    body = [(one.variant, str(len(one.members)), *(_spread(one, its) for its in one.metrics)) for one in groups]
    widths = [max(3, *(len(line[column]) for line in (head, *body))) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n" + "".join(_aligned(cells, widths, left=(0,)) for cells in (head, rule, *body))


def _spread(one: OverSeeds, metric: Metric) -> str:
    deviation = number(one.deviations[metric.name], metric.unit)
    return f"{number(metric.value, metric.unit)} ± {deviation}{ends(metric.interval, metric.unit)}"


def _cells(row: Row, selection: Selection) -> tuple[str, ...]:
    return row.variant, *map(cell, row.metrics), _front(row), _verdict(row, selection)


def _front(row: Row) -> str:
    if row.control:
        return ""
    if not row.dominated_by:
        return "front"
    more = len(row.dominated_by) - 1
    return f"behind {row.dominated_by[0]}" + (f" and {more} more" if more else "")


def _verdict(row: Row, selection: Selection) -> str:
    if row.variant == selection.chosen:
        return f"**shipped** ({selection.rule})"
    return "; ".join((*(["for comparison"] if row.control else []), *row.misses))


def _notes(selection: Selection) -> list[str]:
    """Return what is to be said, each text once, with the variants that it is said of."""
    said: dict[str, list[str]] = {}
    for row in selection.table:
        texts = [f"warning: {text}" for text in row.warnings]
        if row.compared_with not in ("", row.baseline or selection.baseline):
            texts.append(f"{row.quality.head} compared with {row.compared_with}, which was trained as long")
        if row.trained_unlike:
            texts.append(
                f"{row.quality.head} compared with {row.compared_with}, which was not trained as long: {row.trained_unlike}"
            )
        texts += [text for text in row.undecided if text not in row.misses]
        for text in texts:
            said.setdefault(text, []).append(row.variant)
    none = [] if selection.chosen else ["no variant ships: none that the rule may pick meets every gate"]
    return [*none, *(f"{', '.join(variants)}: {text}" for text, variants in said.items()), *selection.notes]


def _line(cells: Sequence[str], widths: list[int]) -> str:
    return _aligned(cells, widths, left=(0, len(widths) - 2, len(widths) - 1))


def _aligned(cells: Sequence[str], widths: list[int], left: Collection[int]) -> str:
    aligned = [
        cell.ljust(width) if column in left else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(aligned)} |\n"
