"""The comparison of two reports as Markdown, for a terminal and for a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.explain.differences import show
from modelyard.report.words import capital, change, moved, outdated, plural, signed, size, value
from modelyard.report.words import markdown_text as text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from modelyard.report.compare import OriginChange, ReportDiff, Side, VariantChange
    from modelyard.report.compare_metrics import GroupChange, MetricChange, Pair

_VARIANTS, _GROUPS, _ORIGINS = 40, 10, 20
"""How many variants, groups (for instance classes), and things that artifacts were made of are told."""


def markdown(diff: ReportDiff) -> str:
    """Return the comparison as Markdown that reads well as it is: for a terminal, and for a pull request."""
    blocks = [
        _head(diff),
        *_shipped(diff),
        *_variants(diff),
        *_groups(diff),
        *_image(diff),
        *_made_of(diff),
        *_notes(diff),
    ]
    if len(blocks) == 1:
        blocks.append("Nothing differs, what may be chance left aside.")
    return "\n\n".join(blocks)


def _head(diff: ReportDiff) -> str:
    return f"### {text(diff.b.project)}: what changed\n\na: {_place(diff.a)}; b: {_place(diff.b)}"


def _place(side: Side) -> str:
    commit = f"commit {side.commit[:12]}{'' if side.clean else ' with changes'}" if side.commit else "not in git"
    return f"{text(side.project)} {text(side.version)}, {commit}"


def _shipped(diff: ReportDiff) -> Iterator[str]:
    old, new, one = diff.a.shipped, diff.b.shipped, diff.shipped
    if new is None:
        before = f"; before it was {text(old)}" if old else ""
        why = f": {text(diff.b.not_shipped)}" if diff.b.not_shipped else ""
        yield f"**Nothing ships**{why}{before}."
        return
    if one is None or (old == new and not one.differs):
        return
    head = f"**{text(new)}** ships" + (", as before" if old == new else f"; before it was {text(old or 'nothing')}")
    yield f"{head}: {', '.join(_said(metric) for metric in _first(one.metrics))}."


def _first(metrics: Sequence[MetricChange]) -> list[MetricChange]:
    """Return what is told first of all: the quality of the second report, and what the narrowest table has."""
    there = [one for one in metrics if one.value.b is not None] or metrics
    return [one for number, one in enumerate(there) if number == 0 or one.detail == 0]


def _said(one: MetricChange) -> str:
    """Return a metric and its change as a sentence says it; chance alone is no change."""
    if not one.is_told and one.value.b is not None:
        return f"{text(one.title)} {value(one.quantity, one.value.b)}"
    return f"{text(one.title)} {_both(one.value, lambda number: value(one.quantity, number), _by(one))}"


def _by(one: MetricChange) -> Callable[[float, float], str]:
    """Return the function that says how far two values of a metric are apart: sizes and times by their part."""
    if one.unit in ("fraction", ""):
        return lambda old, new: moved(one.quantity, new, old)
    return _relative


def _variants(diff: ReportDiff) -> Iterator[str]:
    changed = [one for one in diff.variants if one.differs]
    if not changed:
        return
    shown = changed[:_VARIANTS]
    rows = [row for one in shown for row in _rows(one)]
    gates = [f"- gates of {text(one.name)}: {said}" for one in shown if (said := _gates(one))]
    more = len(changed) - _VARIANTS
    same = len(diff.variants) - len(changed)
    tails = [
        f"{more} more {_number(more, 'differs', 'differ')}, see `--json`." if more > 0 else "",
        f"{same} more {_number(same, 'variant is', 'variants are')} the same." if same else "",
    ]
    table = _table([_HEADS, *rows], right=(2, 3, 4)) if rows else ""
    yield "\n\n".join(filter(None, (table, "\n".join(gates), *tails)))


def _number(count: int, one: str, many: str) -> str:
    return one if count == 1 else many


_HEADS = ("variant", "metric", "a", "b", "change", "")


def _rows(one: VariantChange) -> Iterator[tuple[str, ...]]:
    """Yield a row for each metric that is told, the variant's name in the first."""
    name = text(one.name) + {"a": " (gone)", "b": " (new)", "both": ""}[one.presence]
    name += f" ({outdated(one.state)})" if outdated(one.state) and one.presence != "a" else ""
    for metric in one.told:
        yield name, text(metric.title), *_cells(metric), _verdict(metric, one)
        name = ""


def _cells(one: MetricChange) -> tuple[str, str, str]:
    a, b = one.value.a, one.value.b
    change = _by(one)(a, b) if a is not None and b is not None else ""
    return _cell(one, a, one.interval.a), _cell(one, b, one.interval.b), change


def _cell(one: MetricChange, number: float | None, interval: tuple[float | None, float | None] | None) -> str:
    """Return a value with its interval in brackets, where both ends are known."""
    if number is None:
        return ""
    low, high = interval or (None, None)
    if low is None or high is None or low == high:
        return value(one.quantity, number)
    return f"{value(one.quantity, number)} ({value(one.quantity, low)} to {value(one.quantity, high)})"


def _verdict(metric: MetricChange, variant: VariantChange) -> str:
    """Return what a change means; that of a variant that one report alone has means nothing."""
    return "" if variant.presence != "both" else metric.verdict


def _gates(one: VariantChange) -> str:
    before, after = one.misses
    if after:
        return text("; ".join(after))
    return "met again" if before and one.presence == "both" else ""


def _groups(diff: ReportDiff) -> Iterator[str]:
    """Yield a table for each metric of the variant that ships that is told of groups, for instance of classes."""
    for one in diff.shipped.metrics if diff.shipped else ():
        if one.groups:
            yield _group_table(one)


def _group_table(one: MetricChange) -> str:
    shown = sorted(one.groups, key=lambda group: -abs(group.value.rise))[:_GROUPS]
    rows = [(one.group, "a", "b", "change")]
    rows += [_group_row(one, group) for group in one.groups if group in shown]
    more = f" ({len(one.groups) - len(shown)} more change less)" if len(one.groups) > len(shown) else ""
    head = f"{capital(plural(one.group))} of the variant that ships whose {text(one.title)} changed{more}"
    return f"{head}:\n\n{_table(rows, right=(1, 2, 3))}"


def _group_row(one: MetricChange, group: GroupChange) -> tuple[str, str, str, str]:
    a, b = group.value.a, group.value.b
    return text(group.name), value(one.quantity, a), value(one.quantity, b), change(one.quantity, b, a)


def _image(diff: ReportDiff) -> Iterator[str]:
    if diff.image_digest[0] == diff.image_digest[1]:
        return
    layers = "; ".join(f"{text(one.name)} {_size(one.size_bytes)}" for one in diff.layers)
    state = f", {outdated(diff.image_state)}" if outdated(diff.image_state) and diff.image_digest[1] else ""
    yield f"Image{state}: {_size(diff.image_bytes)}{f'; layers that changed: {layers}' if layers else ''}."


def _made_of(diff: ReportDiff) -> Iterator[str]:
    told = [_say_origin(change) for change in diff.origins]
    more = [f"- and {len(told) - _ORIGINS} more, see `--json`"] if len(told) > _ORIGINS else []
    if told:
        yield "\n".join(("What it was made of:\n", *told[:_ORIGINS], *more))


def _say_origin(change: OriginChange) -> str:
    where = change.stages[0] if len(change.stages) == 1 else f"{len(change.stages)} stages"
    if change.kind == "data":
        return f"- **the data of {text(change.name)} differ**: what was measured is of other samples"
    if change.kind in ("code", "file"):
        return f"- {change.kind} of {text(change.name)} changed ({text(where)})"
    values = " → ".join(text("none" if value is None else show(value)) for value in (change.a, change.b))
    return f"- {change.kind} {text(change.name)}: {values} ({text(where)})"


def _notes(diff: ReportDiff) -> Iterator[str]:
    new = [note for note in diff.b.notes if note not in diff.a.notes]
    if new:
        yield "\n".join(f"- note on b: {text(note)}" for note in new)


def _size(pair: Pair) -> str:
    return _both(pair, size, _relative)


def _relative(old: float, new: float) -> str:
    return f"{signed((new / old - 1) * 100, 1)} %" if old else "from 0"


def _both(pair: Pair, say: Callable[[float], str], change: Callable[[float, float], str]) -> str:
    if pair.a is None or pair.b is None or pair.a == pair.b:
        known = pair.b if pair.b is not None else pair.a
        return say(known) if known is not None else "none"
    return f"{say(pair.a)} → {say(pair.b)} ({change(pair.a, pair.b)})"


def _table(rows: Sequence[Sequence[str]], right: Sequence[int]) -> str:
    widths = [max(3, *(len(row[i]) for row in rows)) for i in range(len(rows[0]))]

    def line(cells: Sequence[str]) -> str:
        aligned = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
        return f"| {' | '.join(aligned)} |"

    rule = "|".join(f" {'-' * (w - 1)}: " if i in right else f" {'-' * w} " for i, w in enumerate(widths))
    return "\n".join((line(rows[0]), f"|{rule}|", *map(line, rows[1:])))
