from __future__ import annotations

from pathlib import Path

import pytest
from tests.standins.manifests import manifest_of

from modelyard.files.digests import DigestTable
from modelyard.files.manifest import Manifest
from modelyard.project import aside
from modelyard.project.aside import move_aside, shown, spare
from modelyard.project.workspace import Workspace
from modelyard.stage import Stage

STAGE = Stage("render", "note")
MADE = {"note.txt": "made", "deep/er.txt": "made, too", "stage.json": "{}"}


@pytest.fixture
def artifact(workspace: Workspace) -> Path:
    """The folder of an artifact, as a build wrote it."""
    return write(workspace.folder(STAGE), MADE)


@pytest.fixture
def ours(artifact: Path) -> Manifest:
    """What the build wrote there, of which its record is no part."""
    return {name: entry for name, entry in manifest_of(artifact).items() if name != "stage.json"}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def files(folder: Path) -> dict[str, str]:
    return {str(one.relative_to(folder)): one.read_text() for one in folder.rglob("*") if one.is_file()}


def test_what_a_build_wrote_stays(artifact: Path, workspace: Workspace, ours: Manifest, table: DigestTable) -> None:
    assert move_aside(STAGE, workspace, [ours], table) == ""
    assert files(artifact) == MADE
    assert not (workspace.artifacts / ".aside").exists()


def test_what_is_not_there_is_nothing(workspace: Workspace, table: DigestTable) -> None:
    assert move_aside(STAGE, workspace, [{}], table) == ""
    workspace.folder(STAGE).mkdir(parents=True)
    assert move_aside(STAGE, workspace, [{}], table) == ""


def test_what_was_added_or_changed_moves_and_the_rest_stays(
    artifact: Path, workspace: Workspace, ours: Manifest, table: DigestTable
) -> None:
    mine = {"deep/er.txt": "MADE, TOO", "secrets/of/mine": "hidden"}  # one has the length that it had
    write(artifact, mine)
    said = move_aside(STAGE, workspace, [ours], table)
    assert said == "artifacts/.aside/render/note.1/: deep/er.txt, secrets/of/mine"
    assert files(workspace.project / "artifacts/.aside/render/note.1") == mine
    assert files(artifact) == {name: text for name, text in MADE.items() if name not in mine}


def test_what_an_earlier_build_wrote_is_no_persons_either(
    artifact: Path, workspace: Workspace, ours: Manifest, table: DigestTable, tmp_path: Path
) -> None:
    write(artifact, {"note.txt": "made now"})
    now = manifest_of(write(tmp_path / "other", {"note.txt": "made now"}))
    assert move_aside(STAGE, workspace, [ours, now], table) == ""
    assert move_aside(STAGE, workspace, [ours], table) == "artifacts/.aside/render/note.1/: note.txt"


def test_each_time_takes_a_new_place_and_many_files_are_counted(
    artifact: Path, workspace: Workspace, ours: Manifest, table: DigestTable
) -> None:
    for number in (1, 2):
        write(artifact, {f"my{n}": str(number) for n in range(5)})
        said = move_aside(STAGE, workspace, [ours], table)
        assert said == f"artifacts/.aside/render/note.{number}/: my0, my1, my2 and 2 more"
        assert files(workspace.artifacts / f".aside/render/note.{number}") == {f"my{n}": str(number) for n in range(5)}


def test_where_nobody_knows_what_a_build_wrote_all_of_it_moves(
    artifact: Path, workspace: Workspace, table: DigestTable
) -> None:
    assert move_aside(STAGE, workspace, [{}, {}], table) == "artifacts/.aside/render/note.1/"
    assert files(workspace.artifacts / ".aside/render/note.1") == MADE
    assert not artifact.exists()


def test_what_is_neither_file_nor_folder_takes_all_with_it(
    artifact: Path, workspace: Workspace, ours: Manifest, table: DigestTable
) -> None:
    (artifact / "link").symlink_to("/nonexistent")
    assert move_aside(STAGE, workspace, [ours], table) == "artifacts/.aside/render/note.1/"
    assert (workspace.artifacts / ".aside/render/note.1/link").is_symlink()


def test_a_large_file_that_is_as_long_is_not_read(
    artifact: Path, workspace: Workspace, ours: Manifest, table: DigestTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aside, "SHARE_FROM_BYTES", 4)
    write(artifact, {"note.txt": "MADE"})
    assert move_aside(STAGE, workspace, [ours], table) == ""
    write(artifact, {"note.txt": "longer"})
    assert move_aside(STAGE, workspace, [ours], table).endswith("/: note.txt")


def test_the_person_is_told_where_it_is(
    artifact: Path, workspace: Workspace, ours: Manifest, table: DigestTable
) -> None:
    told: list[str] = []
    spare(STAGE, workspace, [ours], table, told.append)
    assert told == []
    write(artifact, {"mine": "x"})
    spare(STAGE, workspace, [ours], table, told.append)
    where = "artifacts/.aside/render/note.1/: mine"
    assert told == [f"render:note: what was added or changed in its artifact is now in {where}"]


def test_a_folder_is_shown_as_seen_from_the_project(workspace: Workspace) -> None:
    assert shown(workspace.folder(STAGE), workspace) == "artifacts/render/note/"
