"""What counts as a change of what a stage's key was made of."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from modelyard.keys.sightings import moved, signs_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def changed_by(folder: Path, change: Callable[[], object], *, linked: bool = False) -> list[str]:
    before = signs_of(str(folder))
    change()
    return [os.path.relpath(path, folder) for path in moved(before, signs_of(str(folder)), linked=linked)]


def test_a_file_that_is_written_and_written_back_has_moved_even_if_its_mtime_is_put_back(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("A")
    os.utime(file, (1, 1))

    def change() -> None:
        file.write_text("B")
        file.write_text("A")
        os.utime(file, (1, 1))

    assert changed_by(tmp_path, change) == ["a.txt"]


def test_a_file_that_came_and_went_has_moved_its_folder(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    new = tmp_path / "deep" / "new"
    assert changed_by(tmp_path, lambda: (new.touch(), new.unlink())) == ["deep"]


def test_compiled_python_is_no_change(tmp_path: Path) -> None:
    (tmp_path / "a.py").touch()
    compiled = tmp_path / "__pycache__"
    assert changed_by(tmp_path, lambda: (compiled.mkdir(), (compiled / "a.pyc").touch())) == []


def test_a_hard_link_is_no_change_of_an_artifact_and_one_of_a_source(tmp_path: Path) -> None:
    folder = tmp_path / "artifact"
    folder.mkdir()
    file = folder / "model"
    file.touch()
    assert changed_by(folder, lambda: os.link(file, tmp_path / "object"), linked=True) == []
    assert changed_by(folder, (tmp_path / "object").unlink) == ["model"]


def test_a_link_that_points_elsewhere_and_back_has_moved(tmp_path: Path) -> None:
    one, two, link = tmp_path / "one", tmp_path / "two", tmp_path / "link"
    for folder in (one, two):
        folder.mkdir()
        (folder / "x").touch()
    link.symlink_to(one)
    before = signs_of(str(link / "x"))
    for target in (two, one):
        link.unlink()
        link.symlink_to(target)
    assert moved(before, signs_of(str(link / "x"))) == [str(link)]


def test_what_is_gone_has_moved(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert "a" in changed_by(tmp_path, lambda: shutil.rmtree(tmp_path / "a"))
