from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.standins.manifests import record_of

from modelyard.errors import StoreError
from modelyard.files.digests import DigestTable
from modelyard.files.json import write_json
from modelyard.project.leftovers import leftovers, put_away
from modelyard.project.workspace import Workspace
from modelyard.stage import Stage
from modelyard.store.local import Store

STAGE = Stage("render", "second")
KEY = "ab" * 32


@pytest.fixture
def store(tmp_path: Path, table: DigestTable) -> Store:
    return Store(tmp_path / "store", table)


@pytest.fixture
def artifact(workspace: Workspace, store: Store) -> Path:
    """The folder of manifests that a build wrote and the store keeps."""
    folder = workspace.folder(STAGE)
    folder.mkdir(parents=True)
    (folder / "note.yaml").write_text("made")
    record = record_of(folder, KEY)
    store.add(record, folder)
    write_json(folder / "stage.json", record)
    return folder


def test_what_no_target_renders_any_more_is_left_over(workspace: Workspace) -> None:
    assert leftovers(workspace, ["note"]) == []
    for name in ("note", "second"):
        (workspace.artifacts / "render" / name).mkdir(parents=True)
    (workspace.artifacts / "render" / "file").touch()
    (workspace.artifacts / "render" / "link").symlink_to("second")
    (workspace.artifacts / "train" / "other").mkdir(parents=True)
    assert leftovers(workspace, ["note"]) == [STAGE]
    assert leftovers(workspace, ["note", "second"]) == []


def test_what_a_build_wrote_goes_and_the_store_has_it(
    workspace: Workspace, store: Store, table: DigestTable, artifact: Path
) -> None:
    told: list[str] = []
    put_away(STAGE, workspace, store, table, told.append)
    assert told == ["render:second is no longer in pyproject.toml: artifacts/render/second/ is removed"]
    assert not artifact.exists()
    assert not (workspace.artifacts / ".aside").exists()
    assert store.find(KEY) is not None


def test_what_somebody_added_is_moved_aside_and_told(
    workspace: Workspace, store: Store, table: DigestTable, artifact: Path
) -> None:
    (artifact / "mine.yaml").write_text("mine")
    told: list[str] = []
    put_away(STAGE, workspace, store, table, told.append)
    assert len(told) == 1
    assert told[0].endswith("; what was added or changed there is in artifacts/.aside/render/second.1/: mine.yaml")
    assert not artifact.exists()
    assert (workspace.artifacts / ".aside/render/second.1/mine.yaml").read_text() == "mine"


def test_without_a_record_nothing_is_removed(
    workspace: Workspace, store: Store, table: DigestTable, artifact: Path
) -> None:
    (artifact / "stage.json").write_text("{")
    put_away(STAGE, workspace, store, table, lambda _: None)
    assert not artifact.exists()
    assert (workspace.artifacts / ".aside/render/second.1/note.yaml").read_text() == "made"


def test_a_folder_that_cannot_be_removed_is_told_with_its_stage(
    workspace: Workspace, store: Store, table: DigestTable, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, os.strerror(13), str(artifact))

    monkeypatch.setattr(os, "rmdir", refuse)
    expected = f"{artifact}: Permission denied\n  render:second is no longer in pyproject.toml: remove its folder"
    with pytest.raises(StoreError) as caught:
        put_away(STAGE, workspace, store, table, lambda _: None)
    assert str(caught.value) == expected
