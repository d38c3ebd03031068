"""The projects around models that others made: they load without the packages, and build where these are."""

from __future__ import annotations

import os
import re
import runpy
import tomllib
from pathlib import Path

import pytest

from modelyard.files.json import read_json
from modelyard.project.load import load
from tests.examples.environments import ROOT, copy_of

EXAMPLES = ROOT / "examples" / "third-party"
PROJECTS = sorted(path.parent.name for path in EXAMPLES.glob("*/pyproject.toml"))
PAGE = ROOT / "docs/explanation/third-party-models.md"
BUILDER = runpy.run_path(str(ROOT / "benchmarks/third_party.py"))
MADE = ("dogs.keras", "tokenizer.json")
"""What `make.py` writes."""

each_project = pytest.mark.parametrize("name", PROJECTS)


@each_project
def test_it_loads_and_ends_in_an_image_its_check_and_manifests(name: str, tmp_path: Path) -> None:
    project = copy_of(EXAMPLES / name, tmp_path / name)
    text = (project / "pyproject.toml").read_text(encoding="utf-8")
    stubs = [project / path for path in (*re.findall(r'"(\.\./packages[^"]*)"', text), *MADE)]
    for stub in sorted(stubs, key=lambda path: -len(path.parts)):  # a folder is there when its files are
        stub.parent.mkdir(parents=True, exist_ok=True)
        stub.touch()
    plan = load(project).plan
    assert {"image", "check", "render"} <= {stage.kind for stage in plan.stages.values()}
    train = tomllib.loads(text)["tool"]["modelyard"].get("train", {})
    assert {"licence", "origin"} <= train.keys() or "use" not in train


@each_project
def test_its_figures_are_on_the_page_and_its_code_is_short(name: str) -> None:
    lines = BUILDER["lines"](EXAMPLES / name)
    row = next(row for row in PAGE.read_text(encoding="utf-8").splitlines() if f"third-party/{name})" in row)
    assert row.rstrip("| ").endswith(f" {lines}")
    assert lines <= 30


@pytest.mark.thorough
@pytest.mark.slow
@each_project
def test_it_is_built(name: str) -> None:
    """MODELYARD_THIRD_PARTY names a folder with `packages`, where benchmarks/third_party.py --install has put them."""
    folder = os.environ.get("MODELYARD_THIRD_PARTY")
    if not folder:
        pytest.skip("MODELYARD_THIRD_PARTY names no folder with packages")
    artifacts = BUILDER["build"](name, Path(folder))
    assert read_json(artifacts / f"check/{name}/check.json", dict)["server_started"]
    assert list((artifacts / "render/kubernetes").glob("*.yaml"))
    labels = read_json(artifacts / f"image/{name}/image.json", dict)["labels"]
    train = tomllib.loads((EXAMPLES / name / "pyproject.toml").read_text())["tool"]["modelyard"].get("train", {})
    assert labels.get("dev.modelyard.model.licence") == train.get("licence")
