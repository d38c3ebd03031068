"""The three calls of `modelyard.api`, on the toy project."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from modelyard import api
from modelyard.artifacts import Dataset, ImageFacts, Model
from modelyard.errors import ConfigError, ModelyardError, PlanError
from modelyard.variants.evaluation import Measured

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Doit = Callable[..., "subprocess.CompletedProcess[str]"]


def test_what_is_asked_for_is_built_with_all_that_it_reads_and_once(toy_project: Path) -> None:
    told: list[str] = []
    project = api.load(toy_project, {"train.passes": 2})
    first = api.build(project, "evaluate:plain", tell=told.append)
    assert {name: one.how for name, one in first.items()} == {
        "dataset:points": "built",
        "train:model.build": "built",
        "optimize:plain": "built",
        "evaluate:plain": "built",
    }
    assert [line.partition(":")[0] for line in told] == ["dataset", "train", "optimize", "evaluate"]
    again = api.build(project, "evaluate:plain", tell=told.append)
    assert {one.how for one in again.values()} == {"fresh"}
    assert len(told) == 4


def test_each_kind_is_read_as_what_it_is(toy_project: Path) -> None:
    project = api.load(toy_project)
    api.build(project, tell=lambda _: None)
    dataset, model, measured = (api.read(project, name) for name in ("dataset", "train", "evaluate:rounded"))
    assert isinstance(dataset, Dataset)
    assert isinstance(model, Model)
    assert isinstance(measured, Measured)
    assert measured.evaluation.samples == len(dataset.y("test")) == 20
    shipped, image = api.read(project, "select"), api.read(project, "image")
    assert isinstance(shipped, Model)
    assert isinstance(image, ImageFacts)
    assert api.read(project, "render:note") == toy_project / "artifacts/render/note"


def test_doit_and_python_see_the_same_build(toy_project: Path, doit: Doit) -> None:
    api.build(api.load(toy_project), tell=lambda _: None)
    assert "built 0, restored 0" in doit(toy_project).stdout
    assert (toy_project / "artifacts/build.json").exists()
    assert '"built"' in (toy_project / ".modelyard/last-build.json").read_text()


def test_what_is_stale_is_not_read(toy_project: Path) -> None:
    api.build(api.load(toy_project), "train", tell=lambda _: None)
    other = api.load(toy_project, {"train.passes": 3})
    with pytest.raises(PlanError, match=r"train:model.build is not up to date\n  bring it up to date: api.build"):
        api.read(other, "train")
    assert isinstance(api.read(api.load(toy_project), "train"), Model)


def test_mistakes_are_told_in_words(toy_project: Path) -> None:
    with pytest.raises(ConfigError, match="unknown key 'passs', did you mean 'passes'"):
        api.load(toy_project, {"train.passs": 2})
    project = api.load(toy_project)
    with pytest.raises(PlanError, match="build: there is no stage 'trian', did you mean 'train'"):
        api.build(project, "trian")
    with pytest.raises(PlanError, match=r"read: 'evaluate' names 3 stages\n  name one: evaluate:plain"):
        api.read(project, "evaluate")


def test_a_stage_that_fails_keeps_what_was_made_and_is_in_the_journal(toy_project: Path) -> None:
    plugin = toy_project / "plugins/toy.py"
    plugin.write_text(plugin.read_text().replace('    context.log("trained")', '    raise RuntimeError("no luck")'))
    project = api.load(toy_project)
    with pytest.raises(ModelyardError, match="no luck"):
        api.build(project, "train", tell=lambda _: None)
    assert isinstance(api.read(project, "dataset"), Dataset)
    assert "no luck" in (toy_project / ".modelyard/last-build.json").read_text()


def test_it_imports_no_framework_and_no_doit() -> None:
    code = "import sys, modelyard.api; print(*({'doit', 'numpy', 'tensorflow', 'torch', 'onnxruntime'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
