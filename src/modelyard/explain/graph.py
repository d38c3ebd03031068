"""The graph of stages as Mermaid, DOT or SVG. A state shows in words and in the line around it, not by colour alone."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

import msgspec

from modelyard.build.verdict import STATUSES
from modelyard.explain.graph_layout import Edge, lay_out

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STATES = {
    "up-to-date": (STATUSES["up-to-date"], "#dcf3e3", "#2b7a4b", ""),
    "stale": (STATUSES["stale"], "#fde3d3", "#b8500b", ""),
    "maybe": (STATUSES["maybe"], "#fff5cc", "#8a6a00", "6 3"),
    "missing": (STATUSES["missing"], "#f1f1f3", "#6b6b76", "2 3"),
}
"""For each state: the words, the fill, the line, and the line's dashes."""

_CHARACTER, _SMALL_CHARACTER, _ROW, _HEIGHT, _GAP, _MARGIN = 7.3, 6.4, 62, 44, 56, 20
_BEND = 0.5


class Node(msgspec.Struct, frozen=True):
    """A stage: its id, its state, one of `STATES`, and a few words that the picture adds to the state."""

    id: str
    state: str
    note: str = ""

    @property
    def words(self) -> str:
        """The state in words, and the note."""
        return f"{STATES[self.state][0]}, {self.note}" if self.note else STATES[self.state][0]


class Graph(msgspec.Struct, frozen=True):
    """The stages, each behind all that it reads, and the edges from what is read to what reads it."""

    nodes: list[Node]
    edges: list[Edge]


def mermaid(graph: Graph) -> str:
    """Return the graph as a Mermaid flow chart. Source: mermaid.js.org, syntax of flow charts."""
    number = {node.id: f"s{index}" for index, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for node in graph.nodes:
        label = f"{node.id}<br/>{STATES[node.state][0]}".replace('"', "#quot;")
        lines.append(f'    {number[node.id]}["{label}"]:::{node.state.replace("-", "")}')
    lines += [f"    {number[start]} --> {number[end]}" for start, end in graph.edges]
    for state, (_, fill, line, dashes) in STATES.items():
        style = f"fill:{fill},stroke:{line},color:#111" + (f",stroke-dasharray:{dashes}" if dashes else "")
        lines.append(f"    classDef {state.replace('-', '')} {style}")
    return "\n".join(lines) + "\n"


def dot(graph: Graph) -> str:
    """Return the graph in Graphviz's language."""
    lines = [
        "digraph modelyard {",
        "    rankdir=LR;",
        '    node [shape=box, style="filled,rounded", fontname="sans-serif"];',
    ]
    for node in graph.nodes:
        words, fill, line, dashes = STATES[node.state]
        style = ', style="filled,rounded,dashed"' if dashes else ""
        label = _quoted(f"{node.id}\n{words}")
        lines.append(f'    {_quoted(node.id)} [label={label}, fillcolor="{fill}", color="{line}"{style}];')
    lines += [f"    {_quoted(start)} -> {_quoted(end)};" for start, end in graph.edges]
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def svg(graph: Graph) -> str:
    """Return the graph as an SVG picture that stands alone; edges that others imply are drawn light.

    It may stand in a page, too: its style reaches nothing else, and the page's `--graph-...` variables set its colours.
    """
    layout = lay_out([node.id for node in graph.nodes], graph.edges)
    width = {c: max(_width(n) for n in graph.nodes if layout.column[n.id] == c) for c in range(layout.columns)}
    left = {c: _MARGIN + sum(width[k] + _GAP for k in range(c)) for c in range(layout.columns)}
    right_end = left.get(layout.columns - 1, 0) + width.get(layout.columns - 1, 0) + _MARGIN
    height = _MARGIN * 2 + layout.rows * _ROW + _ROW / 2

    def y(row: float) -> float:
        return _MARGIN + row * _ROW + _HEIGHT / 2

    implied = implied_edges(graph)
    lines = []
    for edge in sorted(graph.edges, key=lambda e: e not in implied):
        points = [(c, y(row)) for c, row in layout.paths[edge]]
        mark = ' class="implied"' if edge in implied else ' marker-end="url(#modelyard-arrow)"'
        lines.append(f"<path{mark} d={quoteattr(_path(points, left, width))}/>")
    boxes = [
        _box(node, left[layout.column[node.id]], y(layout.row[node.id]), width[layout.column[node.id]])
        for node in graph.nodes
    ]
    legend = _legend(graph, height - _MARGIN, has_implied=bool(implied))
    return _page(max(right_end, 440), height, [*lines, *boxes, legend])


def _width(node: Node) -> float:
    return max(len(node.id) * _CHARACTER, len(node.words) * _SMALL_CHARACTER, 10 * _CHARACTER) + 24


def implied_edges(graph: Graph) -> set[Edge]:
    """Return the edges whose ends are also joined through other stages."""
    after: dict[str, set[str]] = {node.id: set() for node in graph.nodes}
    far: dict[str, set[str]] = {}
    for start, end in graph.edges:
        after[start].add(end)
    for node in reversed(graph.nodes):
        far[node.id] = set().union(*({end} | far[end] for end in after[node.id]))
    return {(start, end) for start, end in graph.edges if any(end in far[other] for other in after[start])}


def _path(points: Sequence[tuple[int, float]], left: dict[int, float], width: dict[int, float]) -> str:
    """Return a line that leaves the first box at its right, and meets the last at its left, level in every column."""
    (first, y), *more = points
    x = left[first] + width[first]
    path = f"M{x:.1f},{y:.1f}"
    for index, (column, next_y) in enumerate(more, 1):
        bend = x + (left[column] - x) * _BEND
        end = left[column] - (4 if index == len(more) else 0)
        path += f" C{bend:.1f},{y:.1f} {bend:.1f},{next_y:.1f} {end:.1f},{next_y:.1f}"
        x, y = left[column] + width[column], next_y
        if index < len(more):
            path += f" H{x:.1f}"
    return path


def _box(node: Node, x: float, y: float, width: float) -> str:
    words = escape(node.words)
    middle = x + width / 2
    return (
        f'<g class="{node.state}"><title>{escape(node.id)}: {words}</title>'
        f'<rect x="{x:.1f}" y="{y - _HEIGHT / 2:.1f}" width="{width:.1f}" height="{_HEIGHT}" rx="7"/>'
        f'<text x="{middle:.1f}" y="{y - 2:.1f}">{escape(node.id)}</text>'
        f'<text class="state" x="{middle:.1f}" y="{y + 14:.1f}">{words}</text></g>'
    )


def _legend(graph: Graph, y: float, *, has_implied: bool) -> str:
    counts = {state: sum(node.state == state for node in graph.nodes) for state in STATES}
    text = ", ".join(f"{count} {STATES[state][0]}" for state, count in counts.items() if count)
    light = "; light lines: implied by others" if has_implied else ""
    return f'<text class="legend" x="{_MARGIN}" y="{y:.1f}">{text or "no stages"}{light}</text>'


def _page(width: float, height: float, parts: Sequence[str]) -> str:
    states = "\n".join(
        f".{state} rect{{fill:var(--graph-{state}-fill,{fill});stroke:var(--graph-{state}-line,{line});"
        f"stroke-dasharray:{dashes or 'none'}}}"
        for state, (_, fill, line, dashes) in STATES.items()
    )
    rules = f"""\
text{{font:12px ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;fill:var(--graph-ink,#111);text-anchor:middle}}
.state{{font-size:10.5px;fill:var(--graph-soft,#333)}}
.legend{{text-anchor:start;fill:var(--graph-soft,#555)}}
rect{{stroke-width:1.5}}
.stale rect{{stroke-width:3}}
path{{fill:none;stroke:var(--graph-line,#555b66);stroke-width:1.4}}
.implied{{stroke:var(--graph-implied,#d5d8de)}}
marker path{{fill:var(--graph-line,#555b66);stroke:none}}
{states}"""
    style = "\n".join(f".modelyard-graph {rule}" for rule in rules.splitlines())
    body = "\n".join(parts)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" class="modelyard-graph" width="{width:.0f}" height="{height:.0f}" \
viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="the stages of the build and their states">
<style>
{style}
</style>
<defs><marker id="modelyard-arrow" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">\
<path d="M0,0.5 L8,4 L0,7.5 z"/></marker></defs>
<rect width="100%" height="100%" style="fill:var(--graph-ground,#fff);stroke:none"/>
{body}
</svg>
"""


FORMATS: dict[str, Callable[[Graph], str]] = {"mermaid": mermaid, "dot": dot, "svg": svg}
ENDINGS = {".mmd": "mermaid", ".mermaid": "mermaid", ".dot": "dot", ".gv": "dot", ".svg": "svg"}
