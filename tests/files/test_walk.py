from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelyard.errors import DataError
from modelyard.files.digests import DigestTable
from modelyard.files.walk import walk
from tests.files.settled import write


def test_a_link_to_a_file_counts_as_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write(tmp_path / "data", "hello")
    (folder / "link").symlink_to(tmp_path / "data")
    assert [(name, info.st_size) for name, info in walk(folder)] == [("link", 5)]


def test_compiled_python_can_be_left_out(tmp_path: Path, table: DigestTable) -> None:
    folder = tmp_path / "folder"
    for name in ("helper.py", "sub/__pycache__/helper.cpython-311.pyc", "brought.pyc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write(folder / name, "hello")

    assert [name for name, _ in walk(folder, compiled=False)] == ["brought.pyc", "helper.py"]
    assert list(table.folder(folder)) == ["brought.pyc", "helper.py"]
    assert len(list(walk(folder))) == 3


@pytest.mark.parametrize("what", ["link to a folder", "dangling link", "pipe"])
def test_what_is_no_file_is_an_error_that_names_it(what: str, tmp_path: Path, table: DigestTable) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    odd = folder / "odd"
    os.mkfifo(odd) if what == "pipe" else odd.symlink_to(tmp_path if what == "link to a folder" else "nowhere")
    with pytest.raises(DataError, match=r"folder/odd: (neither a file|cannot be read)"):
        table.content(folder)


def test_a_name_that_is_not_utf_8_is_an_error_that_names_it(tmp_path: Path, table: DigestTable) -> None:
    (tmp_path / "folder").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "folder") + b"/caf\xe9")).touch()
    with pytest.raises(DataError, match=r"caf\\xe9' has a name that is not UTF-8\n  rename it"):
        table.content(tmp_path / "folder")
