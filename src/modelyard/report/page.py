"""What the report's templates are given beside the facts: plots, matrices, examples, and tables cut to size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.build.verdict import UP_TO_DATE
from modelyard.explain.graph import Graph, Node, implied_edges, svg
from modelyard.metrics.figures import plain
from modelyard.report import words
from modelyard.report.classes import classes_of, confusions, parts_of
from modelyard.report.examples import Example, examples
from modelyard.report.facts import Confusion
from modelyard.report.pictures import matrix_picture
from modelyard.report.plots import Point, against_cost, class_changes, curves

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from modelyard.metrics import Metric, Quantity
    from modelyard.report.classes import Classes
    from modelyard.report.facts import (
        ClassFacts,
        CurveFacts,
        DatasetSummary,
        Interval,
        Report,
        StageFacts,
        VariantFacts,
    )
    from modelyard.report.material import Material

_TABLE_CLASSES = 16
"""A confusion matrix with more classes is a picture, with its largest mistakes as a table."""
_BARS, _COLUMNS, _MATRICES, _CURVES, _EPOCHS = 24, 6, 8, 8, 40
"""The most bars of a plot, variants in the table of classes, matrices, trainings, and rows of a training's table."""


_FUNCTIONS = (
    "percent", "points", "signed", "size", "milliseconds", "times", "figure", "value", "change", "moved", "standing", "title", "capital",
    "plural", "duration", "short", "outdated",
)  # fmt: skip


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """A confusion matrix: a table with, for each cell, its count and its share of the row; or a picture of it.

    Attributes:
        variant: whose answers they are.
        of: the output, or the test set; empty: there is one output, and it is the test split.
        names: the classes.
        rows: the table; empty: there is a picture.
        picture: as a data URI.
        confusions: the most frequent mistakes.
    """

    variant: VariantFacts
    of: str
    names: list[str]
    rows: list[list[tuple[int, float]]]
    picture: str
    confusions: tuple[Confusion, ...]


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A variant in the table of classes, and what was measured of each; None where there is no sample."""

    variant: VariantFacts
    values: list[float | None]


class ClassTable(msgspec.Struct, frozen=True, kw_only=True):
    """A quality of each class, or whatever it is told of each of; a column a variant, the baseline first."""

    names: list[str]
    samples: list[int]
    columns: list[Column]
    plot: str
    shown: int


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """The plot of a training, and its table: heads, and rows of which every `step`-th is there."""

    stage: str
    plot: str
    heads: list[str]
    rows: list[list[str]]
    step: int


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What the templates are given; see the fields' classes.

    Attributes:
        baseline: the variant that the one which ships is compared with; None if it is not measured.
        reference: what the others are compared with, in words: a variant's name, unless each training has its own.
        shipped: the variant that ships; None if there is none, or it is not measured.
        focus: the variant that is looked at most closely: the one that ships, else the first beside the baseline.
        graph: the stages as an SVG element.
        quality: what the task counts most; None if nothing is measured.
        columns: what was measured of any variant, in the order of the table.
        size_plot: the quality against size after gzip; empty with fewer than two variants.
        latency_plot: the quality against latency; empty with fewer than two variants.
        matrices: confusion matrices, those of the baseline and of the focus first; none if the task tells none.
        classes: the quality of each class, or whatever it is told of each of; None if it is told of none.
        examples: samples that a variant and the baseline label differently, by variant; none if answers are no classes.
        curves: the trainings.
        tools: the versions of each tool that an artifact was made with.
        left_out: how many matrices and how many trainings there is no room for.
    """

    baseline: VariantFacts | None
    reference: str
    shipped: VariantFacts | None
    focus: VariantFacts | None
    graph: str
    quality: Quantity | None
    columns: list[Quantity]
    size_plot: str
    latency_plot: str
    matrices: list[Matrix]
    classes: ClassTable | None
    examples: dict[str, list[Example]]
    curves: list[Curve]
    tools: dict[str, list[str]]
    left_out: dict[str, int]


def lay_out(report: Report, material: Material) -> Page:
    """Return what the templates need beside the facts."""
    shipped = report.variant(report.shipped)
    baseline = report.variant(shipped.baseline if shipped else report.baseline)
    others = [one for one in report.variants if one is not baseline]
    focus = shipped or next(iter(others), baseline)
    ordered = list({one.name: one for one in (baseline, focus, *_front_first(report.variants)) if one}.values())
    quality = _quality(report.variants, shipped)
    matrices = [matrix for one in ordered for matrix in _matrices(one, material.measured[one.name].evaluation.details)]
    return Page(
        baseline=baseline,
        reference=report.baseline if len({one.baseline for one in report.variants}) < 2 else "the baseline",
        shipped=shipped,
        focus=focus,
        graph=graph(report.stages),
        quality=quality,
        columns=list({one.name: one for variant in report.variants for one in variant.metrics}.values()),
        size_plot=_size_plot(report, quality),
        latency_plot=_latency_plot(report, quality),
        matrices=matrices[:_MATRICES],
        classes=_classes(report, quality, baseline, focus, ordered) if quality else None,
        examples=examples(report, material),
        curves=[_curve(facts, f"curve{number}") for number, facts in enumerate(report.curves[:_CURVES])],
        tools=_tools(report),
        left_out={
            "matrices": max(0, len(matrices) - _MATRICES),
            "curves": max(0, len(report.curves) - _CURVES),
        },
    )


def _tools(report: Report) -> dict[str, list[str]]:
    """Return the versions by name; `tf_keras`, as a program imports it, and `tf-keras`, as one installs it, are one."""
    tools = (pair for one in report.origins for pair in one.tools.items())
    pairs = sorted({(name.lower().replace("_", "-"), version) for name, version in tools})
    return {name: [version for other, version in pairs if other == name] for name, _ in pairs}


def _front_first(variants: Sequence[VariantFacts]) -> list[VariantFacts]:
    return sorted(variants, key=lambda one: not one.is_pareto)


def _quality(variants: Sequence[VariantFacts], shipped: VariantFacts | None) -> Quantity | None:
    """Return what the task counts most; a variant that is stale may have been measured by another one."""
    fresh_first = sorted(variants, key=lambda one: (one is not shipped, one.state != UP_TO_DATE))
    return fresh_first[0].quality if fresh_first else None


def _size_plot(report: Report, quality: Quantity | None) -> str:
    points = [_point(report, one, metric, one.gzip_bytes / 1000) for one, metric in _having(report, quality)]
    return _plot(points, quality, "size", "size after gzip, kB")


def _latency_plot(report: Report, quality: Quantity | None) -> str:
    points = [_point(report, one, metric, one.p50_ms.value, one.p50_ms) for one, metric in _having(report, quality)]
    return _plot(points, quality, "latency", "latency (p50), ms")


def _having(report: Report, quality: Quantity | None) -> list[tuple[VariantFacts, Metric]]:
    return [(one, metric) for one in report.variants if quality and (metric := one.metric(quality.name))]


def _plot(points: list[Point], quality: Quantity | None, name: str, cost: str) -> str:
    if quality is None or len(points) < 2:
        return ""
    return against_cost(points, quality, name, cost, f"{words.capital(quality.head)} against {name}")


def _point(
    report: Report, variant: VariantFacts, metric: Metric, cost: float, interval: Interval | None = None
) -> Point:
    kinds = {
        "shipped": variant.name == report.shipped,
        "baseline": variant.name == variant.baseline,
        "misses": bool(variant.misses),
        "front": variant.is_pareto,
    }
    kind = next((kind for kind, holds in kinds.items() if holds), "other")
    low, high = (interval.low, interval.high) if interval else (None, None)
    return Point(name=variant.name, cost=cost, quality=metric.value, kind=kind, low=low, high=high)


def graph(stages: Sequence[StageFacts]) -> str:
    """Return the graph of the stages as an SVG element, each with its state and time, without implied edges."""
    nodes = [Node(one.stage, one.state, _time(one)) for one in stages]
    whole = Graph(nodes, [(read, one.stage) for one in stages for read in one.reads])
    implied = implied_edges(whole)
    return svg(Graph(nodes, [edge for edge in whole.edges if edge not in implied]))


def _time(stage: StageFacts) -> str:
    if stage.failure:
        return "failed"
    return "" if stage.duration_s is None else words.duration(stage.duration_s)


def _matrices(variant: VariantFacts, details: Mapping[str, Any]) -> Iterator[Matrix]:
    """Yield the confusion matrix of the only output on the test split, then those of outputs and test sets."""
    if classes := classes_of(details):
        yield _matrix(variant, classes, "")
    for part in parts_of(details):
        yield _matrix(variant, part.classes, part.told)


def _matrix(variant: VariantFacts, classes: Classes, of: str) -> Matrix:
    confusion, is_large = classes.confusion, len(classes.confusion) > _TABLE_CLASSES
    rows = [[(count, count / max(1, sum(row))) for count in row] for row in confusion]
    return Matrix(
        variant=variant,
        of=of,
        names=list(classes.class_names),
        rows=[] if is_large else rows,
        picture=matrix_picture(confusion) if is_large else "",
        confusions=confusions(classes),
    )


def _classes(
    report: Report,
    quality: Quantity,
    baseline: VariantFacts | None,
    focus: VariantFacts | None,
    ordered: Sequence[VariantFacts],
) -> ClassTable | None:
    groups = {one.name: metric.per_group for one in ordered if (metric := one.metric(quality.name))}
    known = next((found for found in groups.values() if found), {})
    if not known:
        return None
    counts = {one.name: one.test for one in _counted(report.dataset, quality)}
    counts = counts if counts.keys() == known.keys() else {}
    names = list(counts or known)  # an evaluation's file has the groups by name, the data set has the labels' order
    fitting = [one for one in ordered if groups.get(one.name, {}).keys() == known.keys()]
    groups = {one.name: {name: groups[one.name][name] for name in names} for one in fitting}
    columns = [Column(variant=one, values=list(groups[one.name].values())) for one in fitting[:_COLUMNS]]
    plot, shown = "", 0
    if baseline and focus and focus is not baseline and focus in fitting and baseline in fitting:
        old, new = groups[baseline.name], groups[focus.name]
        chosen = _far_ones(_changes(old, new))
        shown = len(chosen)
        title = f"Change of each {quality.group}, {focus.name} against {baseline.name}"
        plot = (
            class_changes([n for n, _ in chosen], [c for _, c in chosen], quality, "classes", title) if chosen else ""
        )
    return ClassTable(names=names, samples=list(counts.values()), columns=columns, plot=plot, shown=shown)


def _counted(dataset: DatasetSummary | None, quality: Quantity) -> tuple[ClassFacts, ...]:
    """Return the classes that a quality is told of: of several outputs, those of the one whose it is."""
    if dataset is None:
        return ()
    return next((one.classes for one in dataset.outputs if quality.name.startswith(f"{one.name}_")), dataset.classes)


def _changes(old: Mapping[str, float | None], new: Mapping[str, float | None]) -> list[tuple[str, float]]:
    """Return how far each value lies above the old one, where there are both."""
    pairs = ((name, new[name], old[name]) for name in new)
    return [(name, after - before) for name, after, before in pairs if after is not None and before is not None]


def _far_ones(changes: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return all classes in their order, or of many those that change most, the worst first."""
    if len(changes) <= _BARS:
        return changes
    far = sorted(changes, key=lambda change: -abs(change[1]))[:_BARS]
    return sorted(far, key=lambda change: change[1])


def _curve(facts: CurveFacts, name: str) -> Curve:
    step = -(-len(facts.epochs) // _EPOCHS)
    heads = sorted(facts.figures)
    numbers = [n for n in range(len(facts.epochs)) if n % step == 0 or n == len(facts.epochs) - 1]
    rows = [[f"{facts.epochs[n]:g}", *(_cell(facts.figures[head][n]) for head in heads)] for n in numbers]
    return Curve(stage=facts.stage, plot=curves(facts, name), heads=heads, rows=rows, step=step)


def _cell(value: float | None) -> str:
    return "n/a" if value is None else plain(value)


def functions() -> dict[str, Any]:
    """Return the functions that templates may call to write numbers."""
    return {name: getattr(words, name) for name in _FUNCTIONS}
