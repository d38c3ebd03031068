"""The report's plots, drawn by Matplotlib: training curves, quality against cost, change of each class."""

from __future__ import annotations

import contextlib
import math
import warnings
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.report import words
from modelyard.report.svg import PAINTS, inline, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from modelyard.metrics import Quantity
    from modelyard.report.facts import CurveFacts

_WIDTH_IN = 4.9
"""72 units of the picture an inch: a phone shows it at nine tenths of its size, a desktop somewhat enlarged."""
_PANELS = 4
_CROWD = 15
"""Of more points than this, only those of a kind that matters have a name and an interval."""
_STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.edgecolor": PAINTS["line"],
    "axes.labelcolor": PAINTS["muted"],
    "axes.linewidth": 1.0,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": PAINTS["line"],
    "grid.linewidth": 0.6,
    "xtick.color": PAINTS["line"],
    "ytick.color": PAINTS["line"],
    "xtick.labelcolor": PAINTS["muted"],
    "ytick.labelcolor": PAINTS["muted"],
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "text.color": PAINTS["ink"],
    "legend.frameon": False,
    "legend.fontsize": 10,
    "figure.constrained_layout.use": True,
    "text.parse_math": False,  # a name with two dollars is no formula
}


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A variant in a plot of quality against a cost: `kind` is `shipped`, `baseline`, `front`, `misses` or `other`.

    `low` and `high` are the ends of the cost's interval, if they are known.
    """

    name: str
    cost: float
    quality: float
    kind: str
    low: float | None = None
    high: float | None = None


_MARKS = {
    "shipped": ("*", PAINTS["accent"], PAINTS["accent"], 170, "shipped"),
    "baseline": ("s", PAINTS["ink"], PAINTS["ink"], 40, "baseline"),
    "front": ("o", PAINTS["accent"], PAINTS["paper"], 38, "on the Pareto front"),
    "misses": ("x", PAINTS["bad"], PAINTS["bad"], 34, "misses a gate"),
    "other": ("o", PAINTS["muted"], PAINTS["paper"], 26, "other"),
}
"""For each kind of point, the weightiest first: the mark, its edge and fill, its area, and what the legend says."""
_PLACES = (
    (0, 9, "center", "bottom"), (0, -9, "center", "top"), (9, 0, "left", "center"), (-9, 0, "right", "center"),
    (7, 7, "left", "bottom"), (-7, 7, "right", "bottom"), (7, -7, "left", "top"), (-7, -7, "right", "top"),
)  # fmt: skip
"""Where a name may stand: its distance from the mark in points, and how it is aligned."""


def _figure(height_in: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(_WIDTH_IN, height_in))


@contextlib.contextmanager
def _styled() -> Iterator[None]:
    """Draw with Matplotlib's own defaults and the report's style: no person's matplotlibrc counts."""
    import matplotlib as mpl

    with mpl.rc_context({**mpl.rcParamsDefault, "backend": "svg", **_STYLE}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the page's fonts have it: text stays text
        yield


def curves(facts: CurveFacts, name: str) -> str:
    """Return the curves of one training, a panel for each figure; validation is the dashed line beside it."""
    from matplotlib.ticker import MaxNLocator

    panels = panels_of(facts)
    with _styled():
        figure = _figure(1.2 + 1.45 * len(panels))
        for axes, (figure_name, own, validation) in zip(_rows(figure, len(panels)), panels, strict=True):
            _line(axes, facts.epochs, own, "second" if own is None else "accent", "training")
            _line(axes, facts.epochs, validation, "second", "validation")
            axes.set_ylabel(figure_name)
            axes.margins(x=0.03)
            axes.locator_params(axis="y", nbins=5)
            if own is not None and validation is not None:
                axes.legend(loc="best")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        what = ", ".join(panel[0] for panel in panels)
        return inline(figure, name, f"Training curves of {facts.stage}", f"{what} over {len(facts.epochs)} epochs.")


def _rows(figure: Figure, count: int) -> list[Axes]:
    return list(figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0])


def panels_of(facts: CurveFacts) -> list[tuple[str, Any, Any]]:
    """Return for each panel its figure's name, the values of training and those of validation; loss and accuracy first."""
    names = {name.removeprefix("val_") for name in facts.figures}
    order = sorted(names, key=lambda n: (n != "loss", n != "accuracy", n))
    return [(n, facts.figures.get(n), facts.figures.get(f"val_{n}")) for n in order][:_PANELS]


def _line(axes: Axes, epochs: Sequence[float], values: Sequence[float | None] | None, paint: str, label: str) -> None:
    if values is not None:
        numbers = [math.nan if value is None else value for value in values]
        style: dict[str, Any] = {
            "linestyle": "--" if label == "validation" else "-",
            "marker": "o" if len(numbers) <= 12 else "",
        }
        axes.plot(epochs, numbers, color=PAINTS[paint], linewidth=1.8, markersize=3.2, label=label, **style)


def against_cost(points: Sequence[Point], quality: Quantity, name: str, cost: str, title: str) -> str:
    """Return a quality against a cost, with the names of the variants that matter beside their marks."""
    with _styled():
        figure = _figure(3.7)
        axes = figure.subplots()
        for kind in _MARKS:
            _marks(axes, [point for point in points if point.kind == kind], kind)
        told = [point for point in points if len(points) <= _CROWD or point.kind in ("shipped", "baseline", "front")]
        _intervals(axes, told)
        axes.set_xlabel(cost)
        axes.set_ylabel(_axis(quality))
        _scale(axes, points)
        figure.legend(loc="outside upper left", ncols=2, handletextpad=0.3, columnspacing=1.2, borderpad=0)
        _name_points(figure, axes, points, told)
        best = min(points, key=lambda p: quality.of(p.quality).cost)
        least = min(points, key=lambda p: p.cost)
        text = f"{len(points)} variants. Best {quality.head}: {best.name}. Lowest {cost}: {least.name}."
        return inline(figure, name, title, text)


def _axis(quality: Quantity) -> str:
    """Return what stands beside the axis of a quality; that more is better need not be said."""
    return quality.head if quality.better == "higher" else f"{quality.head}, lower is better"


def _marks(axes: Axes, points: Sequence[Point], kind: str) -> None:
    if not points:
        return
    mark, edge, fill, area, label = _MARKS[kind]
    x, y = [p.cost for p in points], [p.quality for p in points]
    paint: dict[str, Any] = {"color": edge} if mark == "x" else {"facecolor": fill, "edgecolor": edge}
    axes.scatter(x, y, s=area, marker=mark, linewidth=1.4, label=label, zorder=9 - list(_MARKS).index(kind), **paint)


def _intervals(axes: Axes, points: Sequence[Point]) -> None:
    for point in points:
        if point.low is not None and point.high is not None:
            ends = [point.low, point.high]
            axes.plot(ends, [point.quality] * 2, color=PAINTS["muted"], linewidth=1, alpha=0.6, zorder=1)


def _scale(axes: Axes, points: Sequence[Point]) -> None:
    """Leave room for names; a cost that spans more than a factor of 20 gets a logarithmic axis."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    costs = [p.cost for p in points]
    if min(costs) > 0 and max(costs) / min(costs) > 20:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))  # Matplotlib's own writes powers as a formula
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.locator_params(axis="x", nbins=5)
    axes.margins(x=0.17, y=0.2)
    axes.locator_params(axis="y", nbins=6)
    axes.ticklabel_format(axis="y", useOffset=False)
    if len({p.quality for p in points}) == 1:
        room = abs(points[0].quality) / 100 or 0.01
        axes.set_ylim(points[0].quality - room, points[0].quality + room)


def _name_points(figure: Figure, axes: Axes, points: Sequence[Point], told: Sequence[Point]) -> None:
    """Write the names of `told` beside their marks, the weightiest first, each where it hides nothing.

    Without such a place only the names of the baseline and of the variant that ships are written.
    """
    figure.draw_without_rendering()
    taken = [_around(axes, point) for point in points]
    inside = axes.get_window_extent()
    for point in sorted(told, key=lambda p: list(_MARKS).index(p.kind)):
        for place in _PLACES:
            text = _write_name(axes, point, place)
            box = text.get_window_extent()
            if inside.contains(box.x0, box.y0) and inside.contains(box.x1, box.y1) and not box.count_overlaps(taken):
                taken.append(box)
                break
            text.remove()
        else:
            if point.kind in ("shipped", "baseline"):
                taken.append(_write_name(axes, point, _PLACES[0]).get_window_extent())


def _write_name(axes: Axes, point: Point, place: tuple[int, int, str, str]) -> Any:
    x, y, align, height = place
    weight = "bold" if point.kind == "shipped" else "normal"
    return axes.annotate(
        _short(point.name), (point.cost, point.quality), (x, y), textcoords="offset points",
        ha=align, va=height, fontsize=10.5, fontweight=weight,
    )  # fmt: skip


def _around(axes: Axes, point: Point) -> Any:
    from matplotlib.transforms import Bbox

    x, y = axes.transData.transform((point.cost, point.quality))
    return Bbox([[x - 5, y - 5], [x + 5, y + 5]])


def _short(name: str, most: int = 24) -> str:
    name = printable(name)
    return name if len(name) <= most else name[: most - 1] + "…"


def class_changes(names: Sequence[str], changes: Sequence[float], quality: Quantity, name: str, title: str) -> str:
    """Return a bar a class, or whatever a quality is told of each of: how far it lies above or below the baseline's.

    Changes of a fraction are drawn in percentage points.
    """
    is_fraction = quality.unit == "fraction"
    unit = "percentage points" if is_fraction else quality.head
    changes = [change * 100 for change in changes] if is_fraction else list(changes)
    with _styled():
        figure = _figure(0.75 + 0.24 * len(names))
        axes = figure.subplots()
        places = range(len(names))
        paints = [
            PAINTS["good"] if (change > 0) == (quality.better == "higher") else PAINTS["bad"] for change in changes
        ]
        axes.barh(places, changes, color=paints, height=0.62)
        axes.axvline(0, color=PAINTS["muted"], linewidth=1)
        axes.set_yticks(places, [_short(n) for n in names])
        axes.tick_params(axis="y", length=0, labelcolor=PAINTS["ink"])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        least = 1.0 if is_fraction else 0.0
        far = (max(least, *(abs(change) for change in changes)) or 1.0) * 1.3
        axes.set_xlim(-far, far)
        for place, change in zip(places, changes, strict=True):
            text = words.signed(change, 1) if is_fraction else words.change(quality, change, 0.0)
            _value(axes, place, change, far, text if change else "0")
        axes.set_xlabel(f"{unit} against the baseline")
        ends = f"from {min(changes):+.3g} to {max(changes):+.3g} {unit}"
        return inline(figure, name, title, f"{len(names)} {words.plural(quality.group)}, {ends}.")


def _value(axes: Axes, place: int, change: float, far: float, text: str) -> None:
    side = 1 if change >= 0 else -1
    axes.text(
        change + side * far * 0.02, place, text, va="center", ha="left" if side > 0 else "right", fontsize=10,
        color=PAINTS["muted"],
    )  # fmt: skip
