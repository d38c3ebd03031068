"""Several pipelines in one project: each from its data to its manifests, and what is the same in two is made once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelyard import api
from tests.front_door.builds import artifacts, build, copy

TABLES = """
[tool.modelyard.pipelines.left]

[tool.modelyard.pipelines.right]
train = { passes = 2 }
gates = { min_accuracy = 0.1 }
select = { rule = "coarse" }
targets = { note = { greeting = "Good evening" } }
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, built_toy: Path) -> Path:
    """Return the toy as two pipelines, built; not to be changed."""
    project = copy(built_toy, tmp_path_factory.mktemp("pipelines") / "toy")
    file = project / "pyproject.toml"
    file.write_text(file.read_text() + TABLES)
    done = build(project)
    assert done.code == 0, done.output
    assert "train:right.model.build" in done.built
    assert "train:left.model.build" not in done.built, "a project of one pipeline trained it before"
    assert done.stages["dataset:right.points"] == "restored"
    assert done.output.count("   select:left\n") == done.output.count("   select:right\n") == 1
    assert done.output.count("   next: `doit serve:NAME` tries it here") == 1
    return project


def test_each_has_its_own_road_from_data_to_manifests(built: Path) -> None:
    made = artifacts(built)
    before = {name.replace("/toy/", "/left/"): data for name, data in made.items() if name.startswith("select/toy/")}
    assert before
    assert before.items() <= made.items(), "what a pipeline makes is what a project of it alone makes"
    chosen = {
        name: json.loads((built / f"artifacts/select/{name}/selection.json").read_text())["chosen"]
        for name in ("left", "right")
    }
    assert chosen == {"left": "rounded", "right": "coarse"}
    notes = {name: (built / f"artifacts/render/{name}.note/note.txt").read_text() for name in ("left", "right")}
    assert "left:" in notes["left"]
    assert "(rounded) of left 1.0" in notes["left"]
    assert "Good evening, right:" in notes["right"]
    assert "(coarse) of right 1.0" in notes["right"]
    assert not (built / "artifacts/render/note").exists(), "what no target asks for any more is put away"
    assert json.loads((built / "artifacts/build.json").read_text())["project"]["name"] == "toy"


def test_nothing_is_done_twice_and_a_change_to_one_leaves_the_other(built: Path, tmp_path: Path) -> None:
    project = copy(built, tmp_path / "toy")
    assert set(build(project).stages.values()) == {"fresh"}
    done = build(project, "pipelines.right.train.passes=3")
    assert "train:right.model.build" in done.built
    assert not [stage for stage in done.built if ":left" in stage]
    both = build(project, "train.passes=4", "train").stages
    assert {both["train:left.model.build"], both["train:right.model.build"]} == {"built", "restored"}, "one key, once"
    assert build(project).built == set(), "and back again"


def test_one_pipeline_is_built_by_its_name(built: Path, tmp_path: Path) -> None:
    project = copy(built, tmp_path / "toy")
    done = build(project, "train.passes=5", "image:left")
    assert done.code == 0
    assert done.built
    assert not [stage for stage in done.stages if ":right" in stage]
    wrong = build(project, "pipelines.rihgt.seed=1")
    assert "there is no pipeline 'rihgt', did you mean 'right'?" in wrong.output
    assert "Traceback" not in wrong.output


def test_reports_commands_and_the_api_tell_of_each(built: Path, tmp_path: Path) -> None:
    project = copy(built, tmp_path / "toy")
    assert build(project, "report").code == 0
    report = json.loads((project / "artifacts/report/right/report.json").read_text())
    assert report["project"]["name"] == "right"
    assert {one["name"] for one in report["variants"]} == {"plain", "rounded", "coarse"}
    assert all(":right" in one["stage"] for one in report["stages"])
    assert "report:left" in build(project, "clean", "report:left").output
    assert not (project / "artifacts/report/left").exists()
    assert (project / "artifacts/report/right").exists()
    assert build(project, "export").code == 0
    assert {one.name for one in (project / "deploy").iterdir()} == {"left.note", "right.note"}
    loaded = api.load(project)
    found = api.read(loaded, "select:right")
    assert found.facts.format == api.read(loaded, "select:left").facts.format  # type: ignore[union-attr]
    listed = build(project, "list", "--all", "--quiet").output.split()
    assert {"serve:left", "serve:right", "push:left", "push:right"} <= {*listed}


def test_serve_asks_which_of_them_and_starts_none(built: Path) -> None:
    done = build(built, "serve")
    assert done.code == 3
    assert done.output.splitlines()[-2:] == [
        "ERROR: serve: there are 2, and each runs until Ctrl-C",
        "  ask for one of them: doit serve:left, doit serve:right",
    ]
