from __future__ import annotations

import shutil
import subprocess
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from modelyard.explain.graph import FORMATS, STATES, Graph, Node, dot, mermaid, svg

GRAPH = Graph(
    [
        Node("dataset:a", "up-to-date"),
        Node("train:b", "stale"),
        Node("optimize:c", "maybe"),
        Node("evaluate:d", "missing"),
    ],
    [("dataset:a", "train:b"), ("train:b", "optimize:c"), ("dataset:a", "optimize:c"), ("optimize:c", "evaluate:d")],
)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("form", FORMATS)
def test_every_form_has_every_stage_with_its_state_in_words(form: Any) -> None:
    text = FORMATS[form](GRAPH)
    for node in GRAPH.nodes:
        assert node.id in text
        assert STATES[node.state][0] in text


def test_svg_draws_each_edge_once_and_implied_ones_light() -> None:
    root = ET.fromstring(svg(GRAPH))
    lines = list(root.findall(f"{SVG}path"))
    assert len(lines) == 4
    assert sum(line.get("class") == "implied" for line in lines) == 1


def test_names_cannot_break_out() -> None:
    graph = Graph([Node('a"<b>&\\', "stale")], [])
    ET.fromstring(svg(graph))
    assert '["a#quot;' in mermaid(graph)
    assert '"a\\"<b>&\\\\"' in dot(graph)


def test_an_empty_graph_is_a_picture_too() -> None:
    ET.fromstring(svg(Graph([], [])))


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_reads_the_dot_form() -> None:
    done = subprocess.run(["dot", "-Tplain"], input=dot(GRAPH), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\nedge ") == 4
