from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from tests.standins.manifests import record_of

from modelyard.errors import StoreError
from modelyard.files.json import write_json
from modelyard.project.workspace import Workspace
from modelyard.stage import Stage
from modelyard.store.record import Record

STAGE = Stage("train", "model.build")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path, tmp_path / "state")


@pytest.fixture
def record(workspace: Workspace) -> Record:
    """The record in an artifact that was built."""
    folder = workspace.folder(STAGE)
    folder.mkdir(parents=True)
    (folder / "model.bin").write_text("made")
    record = record_of(folder, "ab" * 32, discovered={"$HOME": ""})
    write_json(folder / "stage.json", record)
    return record


def test_each_file_has_its_place(workspace: Workspace, tmp_path: Path) -> None:
    assert workspace.folder(STAGE) == tmp_path / "artifacts/train/model.build"
    assert workspace.log(STAGE) == tmp_path / "state/logs/train/model.build.log"
    assert workspace.journal_file == tmp_path / "state/last-build.json"
    assert workspace.unfinished == tmp_path / "artifacts/.unfinished"
    assert list(tmp_path.iterdir()) == [], "to ask makes nothing"
    assert workspace.cache() == tmp_path / "state/cache"
    assert (tmp_path / "state/cache").is_dir()


def test_a_stage_has_a_history_of_its_own(workspace: Workspace, record: Record) -> None:
    workspace.history(STAGE).add(record, "built")
    assert [entry.key for entry in workspace.history(STAGE).entries()] == [record.key]
    assert workspace.history(Stage("train", "other")).entries() == []


def test_a_record_is_read_now(workspace: Workspace, record: Record) -> None:
    assert workspace.record(STAGE) == record
    brief = workspace.brief(STAGE)
    assert brief is not None
    assert (brief.key, brief.outputs, brief.discovered) == (record.key, record.outputs, {"$HOME": ""})
    changed = msgspec.structs.replace(record, key="cd" * 32)
    write_json(workspace.folder(STAGE) / "stage.json", changed)
    assert workspace.record(STAGE) == changed
    (workspace.folder(STAGE) / "stage.json").write_text("{")
    assert (workspace.record(STAGE), workspace.brief(STAGE)) == (None, None)


def test_a_record_whose_outputs_somebody_edited_does_not_hold(workspace: Workspace, record: Record) -> None:
    write_json(workspace.folder(STAGE) / "stage.json", msgspec.structs.replace(record, outputs={}))
    assert workspace.record(STAGE) is not None, "there is something to look at"
    assert workspace.brief(STAGE) is None


def test_one_at_a_time_changes_an_artifact(workspace: Workspace, tmp_path: Path) -> None:
    told: list[str] = []
    with workspace.lock(STAGE, told.append, wait=False):
        other = Workspace(tmp_path, tmp_path / "state")
        busy = pytest.raises(StoreError, match=r"^train:model.build is being built by process \d+ on ")
        with busy, other.lock(STAGE, told.append, wait=False):
            pass
        with other.lock(Stage("train", "other"), told.append, wait=False):
            pass
    with workspace.lock(STAGE, told.append, wait=False):
        pass
    assert told == []


def test_what_is_half_made_is_gone_at_the_end(workspace: Workspace) -> None:
    with workspace.scratch() as one, workspace.scratch() as two:
        assert one != two
        assert one.is_relative_to(workspace.unfinished)
        (one / "half").touch()
    assert not one.exists()
    workspace.close()
    assert list(workspace.unfinished.iterdir()) == []


def test_what_the_system_refuses_while_something_is_made_is_told(workspace: Workspace) -> None:
    advice = "\n  what was built before is kept; mend this, then run `doit` again"
    with pytest.raises(StoreError) as caught, workspace.scratch() as folder:
        raise OSError(28, os.strerror(28), f"{folder}/model")
    assert str(caught.value) == f"{folder}/model: No space left on device{advice}"
    with pytest.raises(StoreError) as caught, workspace.scratch():
        raise OSError(28, os.strerror(28))
    assert str(caught.value) == f"{workspace.unfinished}: No space left on device{advice}"
    workspace.close()


def test_what_a_killed_build_left_is_swept_and_what_is_being_made_is_not(workspace: Workspace, tmp_path: Path) -> None:
    with workspace.scratch() as mine:
        left = workspace.unfinished / "0123456789abcdef"
        left.mkdir()
        (left / "half").touch()
        Workspace(tmp_path, tmp_path / "state").sweep()
        assert not left.exists()
        assert mine.is_dir()
    workspace.close()


def test_outside_git_there_is_no_commit(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert workspace.commit == ""
