"""Stages brought up to date from what the store has: nothing runs here, for nothing has to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.build.results import FILES, artifact, kept, record_of, write

from modelyard.build.engine import Engine, Listener
from modelyard.errors import StoreError
from modelyard.files.locks import hold
from modelyard.project.load import load
from modelyard.stage import Stage
from modelyard.store.record import RECORD
from modelyard.store.roots import roots_file


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def engine(new_toy: Path, told: list[str]) -> Iterator[Engine]:
    """Return an engine for the toy project, which was never built."""
    engine = Engine(load(new_toy, {"store.wait": "false"}), Listener(tell=told.append))
    yield engine
    engine.close()


@pytest.fixture
def stage(engine: Engine, tmp_path: Path) -> Stage:
    """Return the data set's stage, whose result the store has."""
    found = engine.plan.stages["dataset:points"]
    kept(engine, found, tmp_path / "made", metrics={"rows": 60})
    return found


def files(engine: Engine, stage: Stage) -> dict[str, str]:
    folder = engine.workspace.folder(stage)
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != RECORD)
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


def test_what_the_store_has_is_brought_back_and_then_left_alone(engine: Engine, stage: Stage) -> None:
    assert engine.bring_up_to_date(stage).how == "restored"
    assert files(engine, stage) == FILES
    record = engine.workspace.record(stage)
    assert record is not None
    assert record.metrics == {"rows": 60}
    assert engine.judge.is_up_to_date(stage)
    assert engine.bring_up_to_date(stage).how == "fresh"


def test_what_somebody_edited_is_put_beside_and_made_what_it_was(engine: Engine, stage: Stage, told: list[str]) -> None:
    engine.bring_up_to_date(stage)
    path = engine.workspace.folder(stage) / "x.npy"
    path.unlink()
    path.write_text("mine")
    engine.judge.invalidate_artifacts()
    assert engine.bring_up_to_date(stage).how == "restored"
    assert files(engine, stage) == FILES
    assert told == [
        "dataset:points: what was added or changed in its artifact is now in artifacts/.aside/dataset/points.1/: x.npy"
    ]


def test_an_artifact_that_is_removed_comes_back(engine: Engine, stage: Stage) -> None:
    assert not engine.remove(stage), "there is none"
    engine.bring_up_to_date(stage)
    assert engine.remove(stage)
    assert not engine.workspace.folder(stage).exists()
    assert not engine.judge.is_up_to_date(stage)
    assert engine.bring_up_to_date(stage).how == "restored"


def test_a_result_that_is_forgotten_has_to_be_made_again(engine: Engine, stage: Stage) -> None:
    engine.forget(stage)
    assert engine.judge.verdict(stage).state == "restore", "without an artifact there is nothing to forget"
    engine.bring_up_to_date(stage)
    engine.forget(stage)
    engine.judge.invalidate(stage)
    assert engine.judge.verdict(stage).state == "run"
    assert not engine.workspace.folder(stage).exists()


def test_a_record_that_is_accepted_stands_for_the_artifact(engine: Engine, stage: Stage) -> None:
    engine.bring_up_to_date(stage)
    record = engine.workspace.record(stage)
    assert record is not None
    other = msgspec.structs.replace(record, key="cd" * 32)
    engine.accept(stage, other)
    assert engine.workspace.record(stage) == other
    assert engine.store.trace("cd" * 32) is not None
    assert not engine.judge.is_up_to_date(stage), "of another key it is stale"


@pytest.mark.parametrize("call", ["bring_up_to_date", "remove"])
def test_a_build_that_does_not_wait_says_who_is_at_work(engine: Engine, stage: Stage, call: str) -> None:
    """A lock file is one process's: here it is taken by another open file of the same."""
    lock = engine.project.state / "locks" / "dataset-points.lock"
    with hold(lock, "other", lambda _: None, wait=True), pytest.raises(StoreError, match="dataset:points"):
        getattr(engine, call)(stage)


def test_the_end_of_a_build_says_to_the_store_what_the_project_needs(engine: Engine, stage: Stage) -> None:
    engine.bring_up_to_date(stage)
    file = roots_file(engine.store.root, engine.project.folder)
    engine.finish(changed=True)
    assert engine.judge.fingerprint(stage).key in file.read_text()
    before = file.stat().st_mtime_ns
    engine.finish(changed=False)
    assert file.stat().st_mtime_ns == before, "it still holds"
    file.unlink()
    engine.finish(changed=False)
    assert file.exists(), "of a store that was emptied it does not"


def test_what_a_target_rendered_that_is_no_longer_there_is_put_away(engine: Engine, told: list[str]) -> None:
    folder = write(engine.workspace.artifacts / "render" / "gone", {"a.yaml": "a: 1\n"})
    artifact(folder, record_of(folder, "render:gone"))
    note = write(engine.workspace.artifacts / "render" / "note", {"note.txt": "x"})
    engine.finish(changed=False)
    assert not folder.exists()
    assert note.exists()
    assert [line for line in told if line.startswith("render:gone is no longer in pyproject.toml")]


def test_what_a_build_that_was_killed_left_is_swept(engine: Engine) -> None:
    left = engine.workspace.unfinished / "1-dead" / "half"
    left.mkdir(parents=True)
    engine.sweep()
    assert not left.exists()


def test_who_is_told_can_be_replaced_while_a_build_goes_on(engine: Engine) -> None:
    heard: list[Any] = []
    engine.listener.tell = heard.append
    engine._say("a line")
    assert heard == ["a line"]
