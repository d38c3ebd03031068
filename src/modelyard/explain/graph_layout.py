"""Where the boxes of a layered graph go, from left to right, and where its lines run.

Every node stands one column right of the farthest thing that it depends on. A line that crosses columns passes
through a place of its own in each, so that it runs behind no box. Rows are ordered by the mean row of the
neighbours, swept to and fro, which keeps crossings few.
Source: Sugiyama, Tagawa and Toda 1981, "Methods for visual understanding of hierarchical system structures".
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Edge = tuple[str, str]
_SWEEPS = 8
_WAYPOINT_HEIGHT = 0.35
"""The height of a line's place in a column, in rows."""


class Layout(msgspec.Struct, frozen=True):
    """Where things are: columns from 0, rows from 0 and not always whole.

    Attributes:
        column: the column of each node.
        row: the row of each node.
        paths: the points (column, row) that each edge runs through, its ends included.
        columns: how many columns there are.
        rows: how many rows there are.
    """

    column: dict[str, int]
    row: dict[str, float]
    paths: dict[Edge, list[tuple[int, float]]]
    columns: int
    rows: float


def lay_out(nodes: Sequence[str], edges: Sequence[Edge]) -> Layout:
    """Return the layout of a graph without cycles.

    Args:
        nodes: the nodes, each behind all that it depends on.
        edges: from each node to those that depend on it.
    """
    column = _columns(nodes, edges)
    chains = {edge: _chain(edge, column) for edge in edges}
    links = [link for chain in chains.values() for link in itertools.pairwise(chain)]
    layers = _layers(column, chains)
    _order(layers, links)
    rows = _rows(layers, links)
    low = min(rows.values(), default=0.0)
    rows = {name: row - low for name, row in rows.items()}
    place = {name: number for number, layer in enumerate(layers) for name in layer}
    paths = {edge: [(place[p], rows[p]) for p in chain] for edge, chain in chains.items()}
    return Layout(column, {n: rows[n] for n in nodes}, paths, len(layers), max(rows.values(), default=0.0) + 1)


def _columns(nodes: Sequence[str], edges: Iterable[Edge]) -> dict[str, int]:
    before: dict[str, list[str]] = {}
    for start, end in edges:
        before.setdefault(end, []).append(start)
    column: dict[str, int] = {}
    for node in nodes:
        column[node] = 1 + max((column[b] for b in before.get(node, ())), default=-1)
    return column


def _chain(edge: Edge, column: Mapping[str, int]) -> list[str]:
    """Return the edge's ends with a waypoint for each column between them; its name cannot be a node's."""
    start, end = edge
    return [start, *(f"{start}\n{end}\n{c}" for c in range(column[start] + 1, column[end])), end]


def _layers(column: Mapping[str, int], chains: Mapping[Edge, Sequence[str]]) -> list[list[str]]:
    layers: list[list[str]] = [[] for _ in range(1 + max(column.values(), default=-1))]
    for node, number in column.items():
        layers[number].append(node)
    for (start, _), chain in chains.items():
        for offset, waypoint in enumerate(chain[1:-1], 1):
            layers[column[start] + offset].append(waypoint)
    return layers


def _order(layers: list[list[str]], links: Sequence[Edge]) -> None:
    """Sort each layer in place by the mean place of its neighbours in the layer before, then behind, several times."""
    left, right = _neighbours(links)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for layer, fixed in _pairs(layers, forward=forward):
            place = {name: index for index, name in enumerate(fixed)}
            near = left if forward else right
            own = {name: index for index, name in enumerate(layer)}
            layer.sort(key=lambda n: _mean([place[m] for m in near.get(n, ())], own[n]))


def _pairs(layers: list[list[str]], *, forward: bool) -> list[tuple[list[str], list[str]]]:
    """Return each layer to be moved with its neighbour that stays."""
    pairs = list(zip(layers[1:], layers, strict=False))
    return pairs if forward else [(fixed, layer) for layer, fixed in reversed(pairs)]


def _neighbours(links: Iterable[Edge]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    left: dict[str, list[str]] = {}
    right: dict[str, list[str]] = {}
    for start, end in links:
        left.setdefault(end, []).append(start)
        right.setdefault(start, []).append(end)
    return left, right


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _rows(layers: Sequence[Sequence[str]], links: Sequence[Edge]) -> dict[str, float]:
    """Return a row for everything: stacked at first, then drawn towards the neighbours, keeping order and distance."""
    left, right = _neighbours(links)
    rows: dict[str, float] = {}
    for layer in layers:
        _stack(layer, [0.0] * len(layer), rows)
    for sweep in range(2 * _SWEEPS):
        near = (left, right)[sweep % 2]
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            _stack(layer, [_mean([rows[m] for m in near.get(n, ())], rows[n]) for n in layer], rows)
    return rows


def _stack(layer: Sequence[str], wished: Sequence[float], rows: dict[str, float]) -> None:
    """Give each of `layer` a row as near to the wished one as the things above it allow, without a drift downwards."""
    found: list[float] = []
    for name, wish in zip(layer, wished, strict=True):
        least = found[-1] + _distance(layer[len(found) - 1], name) if found else wish
        found.append(max(wish, least))
    drift = _mean([f - w for f, w in zip(found, wished, strict=True)], 0.0)
    rows.update({name: row - drift for name, row in zip(layer, found, strict=True)})


def _distance(above: str, below: str) -> float:
    """Return how far apart two neighbours in a column are, centre to centre, in rows."""
    return sum(_WAYPOINT_HEIGHT if "\n" in name else 1.0 for name in (above, below)) / 2
