"""The comparison of two reports as Markdown, for a terminal and for a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.explain.differences import show
from modelyard.report.compare import is_slower_or_faster
from modelyard.report.words import markdown_text as text
from modelyard.report.words import milliseconds, outdated, percent, points, signed, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from modelyard.report.compare import ClassChange, OriginChange, Pair, ReportDiff, Side, VariantChange

_CLASSES, _ORIGINS = 10, 20
"""How many classes, and how many things that artifacts were made of, are told."""


def markdown(diff: ReportDiff) -> str:
    """Return the comparison as Markdown that reads well as it is: for a terminal, and for a pull request."""
    blocks = [
        _head(diff),
        *_shipped(diff),
        *_variants(diff),
        *_class_table(diff),
        *_image(diff),
        *_made_of(diff),
        *_notes(diff),
    ]
    if len(blocks) == 1:
        blocks.append("Nothing differs, the noise of latencies left aside.")
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
    yield f"{head}: accuracy {_accuracy(one.accuracy)}, {_size(one.gzip_bytes)} after gzip, {_latency(one.p50_ms)}."


def _variants(diff: ReportDiff) -> Iterator[str]:
    changed = [one for one in diff.variants if one.differs]
    if not changed:
        return
    rows = [("variant", "accuracy", "size", "gzip", "p50", "gates")]
    for one in changed:
        gone = " (gone)" if one.size_bytes.b is None else " (new)" if one.size_bytes.a is None else ""
        gone += f" ({outdated(one.state)})" if outdated(one.state) and one.size_bytes.b is not None else ""
        rows.append(
            (
                text(one.name) + gone,
                _accuracy(one.accuracy),
                _size(one.size_bytes),
                _size(one.gzip_bytes),
                _latency(one.p50_ms),
                _gates(one),
            )
        )
    same = len(diff.variants) - len(changed)
    tail = f"\n\n{same} more {'variant is' if same == 1 else 'variants are'} the same." if same else ""
    yield _table(rows, right=(1, 2, 3, 4)) + tail


def _gates(one: VariantChange) -> str:
    before, after = one.misses
    if after:
        return text("; ".join(after))
    return "met again" if before and one.size_bytes.b is not None else ""


def _class_table(diff: ReportDiff) -> Iterator[str]:
    if diff.shipped is None or not diff.shipped.classes:
        return
    classes = diff.shipped.classes
    shown = sorted(sorted(classes, key=_far)[:_CLASSES], key=_rise)
    rows = [("class", "a", "b", "change")]
    rows += [
        (text(c.name), percent(c.accuracy.a), percent(c.accuracy.b), points(c.accuracy.b, c.accuracy.a)) for c in shown
    ]
    more = f" ({len(classes) - len(shown)} more change less)" if len(classes) > len(shown) else ""
    yield f"Classes of the variant that ships whose accuracy changed{more}:\n\n{_table(rows, right=(1, 2, 3))}"


def _rise(one: ClassChange) -> float:
    return (one.accuracy.b or 0) - (one.accuracy.a or 0)


def _far(one: ClassChange) -> float:
    return -abs(_rise(one))


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
        return f"- **the data of {text(change.name)} differ**: accuracies are of other samples"
    if change.kind in ("code", "file"):
        return f"- {change.kind} of {text(change.name)} changed ({text(where)})"
    values = " → ".join(text("none" if value is None else show(value)) for value in (change.a, change.b))
    return f"- {change.kind} {text(change.name)}: {values} ({text(where)})"


def _notes(diff: ReportDiff) -> Iterator[str]:
    new = [note for note in diff.b.notes if note not in diff.a.notes]
    if new:
        yield "\n".join(f"- note on b: {text(note)}" for note in new)


def _accuracy(pair: Pair) -> str:
    return _both(pair, percent, lambda old, new: f"{points(new, old)} points")


def _size(pair: Pair) -> str:
    return _both(pair, size, _relative)


def _latency(pair: Pair) -> str:
    if not is_slower_or_faster(pair) and pair.b is not None:
        return milliseconds(pair.b)
    return _both(pair, milliseconds, _relative)


def _relative(old: float, new: float) -> str:
    return f"{signed((new / old - 1) * 100, 1)} %" if old else "new"


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
