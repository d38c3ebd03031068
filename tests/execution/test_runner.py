"""One run of a stage as the `doit` process sees it: what the worker is asked, and what becomes of its answer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.plans import SOURCE, TRAINER, nothing
from tests.standins.answering import Answering

from modelyard.component import Component, Use
from modelyard.errors import StageFailed
from modelyard.execution.protocol import Failure, Result
from modelyard.execution.runner import StageRunner, _environment
from modelyard.files.locks import take
from modelyard.keys.action_key import Fingerprint
from modelyard.keys.sightings import Sighting
from modelyard.oci.cache import SHARED
from modelyard.project.load import Project, load
from modelyard.project.workspace import Workspace
from modelyard.stage import Stage, outline

SIGHTING = Sighting(
    Fingerprint("ab" * 32, {"trainer": "centroids", "code trainer": "12"}),
    {},
    {},
    {"/p/toy.py": (1, 2, 3, 4)},
    {},
    ("/p/t.csv",),
    {},
)
TRAIN = "train:model.build"


@pytest.fixture
def project(toy_project: Path) -> Project:
    return load(toy_project, {"dataset.samples": "30"})


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def runner(project: Project, pool: Answering, told: list[str] | None = None) -> StageRunner:
    lines = [] if told is None else told
    return StageRunner(project, Workspace(project.folder, project.state), lines.append, pool)


def test_a_worker_is_asked_all_that_it_must_know(project: Project, scratch: Path) -> None:
    pool, stage = Answering({"model.toy": "{}"}, Result(metrics={"loss": 0.5})), project.plan.stages[TRAIN]
    found = runner(project, pool).run(stage, SIGHTING, scratch, lambda _: None)
    assert (found.result.metrics, found.peak_memory_bytes) == ({"loss": 0.5}, 1000)
    assert (scratch / "out" / "model.toy").read_text() == "{}"
    (asked,) = pool.asked
    data = str(project.folder / "artifacts/dataset/points")
    assert (asked.stage, asked.outline, asked.project) == (TRAIN, outline(stage), str(project.folder))
    assert (asked.overrides, asked.is_whole) == ({"dataset.samples": "30"}, True)
    assert asked.inputs == {"dataset": data}
    shared = os.environ[SHARED]
    assert asked.files == ["/p/t.csv", data, shared], (
        "what the key was made of, the artifacts that it reads, image caches"
    )
    assert asked.sources == SIGHTING.sources
    assert set(asked.ways) == set(stage.uses)
    assert asked.code
    assert Path(asked.cache).is_dir()
    assert asked.out == str(scratch / "out")


def test_the_log_is_of_the_last_run_alone(project: Project, scratch: Path) -> None:
    stage = project.plan.stages[TRAIN]
    log = Workspace(project.folder, project.state).log(stage)
    log.parent.mkdir(parents=True)
    log.write_text("of the run before\n")
    runner(project, Answering()).run(stage, SIGHTING, scratch, lambda _: None)
    assert log.read_text() == ""


def test_a_stage_that_failed_says_so_and_its_log_says_more(project: Project, scratch: Path) -> None:
    stage = project.plan.stages[TRAIN]
    pool = Answering(
        result=Result(failure=Failure("train:net: no luck", "Traceback (most recent call last):\nValueError\n"))
    )
    with pytest.raises(StageFailed, match=r"^train:net: no luck$"):
        runner(project, pool).run(stage, SIGHTING, scratch, lambda _: None)
    assert "ValueError" in Workspace(project.folder, project.state).log(stage).read_text()


@pytest.mark.parametrize(("left", "words"), [(1, "a process"), (3, "3 processes")])
def test_progress_is_handed_on_and_what_was_left_behind_is_told(
    project: Project, scratch: Path, left: int, words: str
) -> None:
    progress = {"done": 1.0, "total": 2.0}
    pool, heard, told = Answering(events=(progress, {"left": left, "note": "sleep 9"})), list[Any](), list[str]()
    runner(project, pool, told).run(project.plan.stages[TRAIN], SIGHTING, scratch, heard.append)
    assert heard == [progress]
    assert told == [f"{TRAIN}: ended {words} that it left behind: sleep 9"]


def test_a_resource_is_held_while_the_block_runs(project: Project) -> None:
    config = project.config
    store = msgspec.structs.replace(config.settings.store, wait=False)
    settings = msgspec.structs.replace(config.settings, store=store)
    changed = msgspec.structs.replace(config, resources={"gpu": 1}, settings=settings)
    own = msgspec.structs.replace(project, plan=msgspec.structs.replace(project.plan, config=changed))
    stage = msgspec.structs.replace(project.plan.stages[TRAIN], resources=("gpu",))
    locks = project.state / "locks"
    with runner(own, Answering()).resources(stage):
        assert (locks / "resource-gpu-0.lock").read_text()
    with take(locks, "gpu", 1, lambda _: None, wait=False):
        pass


def test_a_worker_is_that_of_the_stage_s_components() -> None:
    one = msgspec.structs.replace(TRAINER, environment={"A": "1", "B": "1"}, preload=("numpy", "json"))
    two = Component("model", "m", nothing, SOURCE, environment={"B": "2"}, preload=("json", "csv"))
    stage = Stage("train", "net", uses={"trainer": Use(one), "model": Use(two)}, threads=3)
    variables, preload = _environment(stage)
    assert preload == ("numpy", "json", "csv")
    assert (variables["A"], variables["B"]) == ("1", "2")
    assert variables["OMP_NUM_THREADS"] == "3"
    assert _environment(msgspec.structs.replace(stage, threads=4))[0] != variables, "another worker"
