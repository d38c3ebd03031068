"""What was rendered goes into a folder for git, and only what was rendered."""

from __future__ import annotations

from pathlib import Path

from tests.front_door.builds import build


def test_export_writes_what_was_rendered_and_builds_it_first(toy: Path) -> None:
    (toy / "artifacts/render/note/note.txt").unlink()

    done = build(toy, "export")

    assert done.code == 0, done.output
    assert done.stages["render:note"] == "restored"
    assert "   deploy/note/: 1 written, 0 removed, 0 unchanged\n     + note.txt\n" in done.output
    assert sorted(path.name for path in (toy / "deploy/note").iterdir()) == [".modelyard-export.json", "note.txt"]
    assert (toy / "deploy/note/note.txt").read_bytes() == (toy / "artifacts/render/note/note.txt").read_bytes()
    assert "deploy/note/: 0 written, 0 removed, 1 unchanged\n" in build(toy, "export:note").output


def test_export_touches_nothing_that_somebody_changed(toy: Path) -> None:
    assert build(toy, "export", "export.folder=manifests").code == 0
    (toy / "manifests/note/note.txt").write_text("mine")

    done = build(toy, "export", "export.folder=manifests")

    assert done.code == 1
    assert "not as an export wrote it" in done.output
    assert "Traceback" not in done.output
    assert (toy / "manifests/note/note.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_told(toy: Path) -> None:
    (toy / "deploy").write_text("a file")

    done = build(toy, "export")

    assert done.code == 1
    assert f"export: {toy / 'deploy'}: a file is in the way of a folder\n  move it away, or export" in done.output
    assert "Traceback" not in done.output
    assert (toy / "deploy").read_text() == "a file"
