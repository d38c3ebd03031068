"""The workers of checks: those of one project serve the next, as it is configured there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.known import know

from modelyard.artifacts import Dataset
from modelyard.testing.building import bring, engine_of

TOY = Path(__file__).parents[1] / "projects/toy"


def built(project: Path, samples: int) -> tuple[int, list[int]]:
    """Build the data set of `project`; return how many samples it has, and the ids of the workers that are there."""
    with engine_of(project, {"dataset.samples": str(samples)}) as engine:
        stage = engine.plan.of_kind("dataset")[0]
        bring(engine, [stage])
        dataset = Dataset.open(engine.workspace.folder(stage))
        pids = [worker._process.pid for worker in engine.placement.local.pool._workers.values()]
        return sum(len(dataset.y(split)) for split in ("train", "test")), pids


@pytest.fixture
def projects(tmp_path: Path) -> list[Path]:
    ignore = shutil.ignore_patterns("__pycache__", ".modelyard", "artifacts")
    return [know(Path(shutil.copytree(TOY, tmp_path / name, ignore=ignore))) for name in ("one", "two")]


def test_one_worker_serves_projects_in_turn_each_as_it_is_configured(projects: list[Path]) -> None:
    one, two = projects
    first, pids = built(one, 60)
    assert [first, *(built(project, samples)[0] for project, samples in ((two, 90), (one, 120)))] == [60, 90, 120]
    assert built(two, 150) == (150, pids)


def test_what_a_variable_was_is_no_matter_to_a_later_check(
    projects: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.environ.get("PYTHONHASHSEED")
    _, pids = built(projects[0], 60)
    monkeypatch.setenv("SOME_VARIABLE", "another")
    _, others = built(projects[1], 60)
    assert not set(pids) & set(others)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert os.environ.get("PYTHONHASHSEED") == before
