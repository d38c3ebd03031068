from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from tests.commands.conftest import Ask, Run

SVG = "{http://www.w3.org/2000/svg}"


def test_states(toy: Path, run: Run, ask: Ask) -> None:
    assert run("clean", "render").returncode == 0
    answer = ask("graph", "train.passes=2")
    states = {node["id"]: node["state"] for node in answer["stages"]}
    assert states["dataset:points"] == "up-to-date"
    assert states["train:model.build"] == "stale"
    assert states["evaluate:plain"] == "maybe"
    assert states["render:note"] == "missing"
    assert ["dataset:points", "train:model.build"] in answer["edges"]


def test_svg_is_a_picture_of_every_stage(toy: Path, run: Run, ask: Ask) -> None:
    assert run("graph", "--output", "graph.svg").returncode == 0
    root = ET.fromstring((toy / "graph.svg").read_text())
    titles = [title.text for title in root.iter(f"{SVG}title")]
    assert titles == [f"{node['id']}: up to date" for node in ask("graph")["stages"]]


def test_text_forms(toy: Path, run: Run) -> None:
    assert run("graph").stdout.startswith("flowchart LR\n")
    assert run("graph", "--format=dot").stdout.startswith("digraph")
    assert run("graph", "--output", "graph.gv").returncode == 0
    assert (toy / "graph.gv").read_text().startswith("digraph")


def test_mistakes(run: Run) -> None:
    assert "names no format" in run("graph", "--output", "graph.pdf").stderr
    assert "cannot be written" in run("graph", "--output", "nowhere/graph.svg").stderr
    assert run("graph", "--format", "pdf").returncode == 3
