from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from modelyard.explain.graph_layout import lay_out


@st.composite
def graphs(draw: Any) -> tuple[Any, Any]:
    nodes = [f"n{i}" for i in range(draw(st.integers(0, 12)))]
    pairs = [(a, b) for i, a in enumerate(nodes) for b in nodes[i + 1 :]]
    return nodes, draw(st.lists(st.sampled_from(pairs), unique=True, max_size=25)) if pairs else []


@given(graphs())
def test_what_is_read_stands_left_of_what_reads_it(graph: Any) -> None:
    nodes, edges = graph
    layout = lay_out(nodes, edges)
    assert all(layout.column[a] < layout.column[b] for a, b in edges)
    assert set(layout.column) == set(layout.row) == set(nodes)


@given(graphs())
def test_no_two_boxes_of_a_column_overlap(graph: Any) -> None:
    layout = lay_out(*graph)
    for column in range(layout.columns):
        rows = sorted(layout.row[n] for n, c in layout.column.items() if c == column)
        assert all(below - above > 0.999 for above, below in pairwise(rows))


@given(graphs())
def test_everything_is_on_the_page(graph: Any) -> None:
    layout = lay_out(*graph)
    assert all(-0.001 <= row <= layout.rows - 0.999 for row in layout.row.values())


@given(graphs())
def test_no_line_runs_behind_a_box(graph: Any) -> None:
    layout = lay_out(*graph)
    for (start, end), path in layout.paths.items():
        assert [column for column, _ in path] == list(range(layout.column[start], layout.column[end] + 1))
        for column, row in path[1:-1]:
            rows = [layout.row[n] for n, c in layout.column.items() if c == column]
            assert all(abs(row - other) > 0.6 for other in rows)


def test_a_chain_is_a_straight_line() -> None:
    layout = lay_out(["a", "b", "c"], [("a", "b"), ("b", "c")])
    assert set(layout.row.values()) == {0.0}
    assert layout.columns == 3
