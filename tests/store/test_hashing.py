"""Hashing many files at once gives what hashing each alone gives, and reads no file twice."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from pathlib import Path

import pytest

from modelyard import digests
from modelyard.digests import DigestTable, hash_file, hash_files
from modelyard.errors import DataError


@pytest.mark.parametrize(
    "size",
    [
        0,
        1,
        digests._SMALL_BYTES - 1,
        digests._SMALL_BYTES,
        digests._SMALL_BYTES + 1,
        digests._LARGE_BYTES,
        digests._BUFFER_BYTES,
        digests._BUFFER_BYTES + 12_345,
    ],
)
def test_every_size_is_hashed_whole(size: int, tmp_path: Path) -> None:
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    assert hash_file(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_large_and_small_files_side_by_side_keep_their_order(tmp_path: Path) -> None:
    contents = [os.urandom(digests._LARGE_BYTES + n if n % 2 else n) for n in range(9)]
    files = []
    for number, content in enumerate(contents):
        path = tmp_path / str(number)
        path.write_bytes(content)
        files.append((str(path), len(content)))
    assert hash_files(files) == [hashlib.sha256(content).hexdigest() for content in contents]
    with pytest.raises(DataError, match=r"nothing: cannot be read: No such file"):
        hash_files([*files, (str(tmp_path / "nothing"), digests._LARGE_BYTES)])


def test_a_folder_of_several_batches_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "_BATCH", 7)
    read: list[str] = []
    monkeypatch.setattr(digests, "hash_file", lambda path: read.append(Path(path).name) or hash_file(path))
    folder = tmp_path / "folder"
    for number in range(50):
        path = folder / f"{number % 3}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
    time.sleep(0.05)
    table = DigestTable(tmp_path / "table.sqlite")
    first = table.folder(folder)
    assert len(first) == len(read) == 50
    assert {name: entry.digest for name, entry in first.items()} == {
        f"{n % 3}/{n}.txt": hashlib.sha256(str(n).encode()).hexdigest() for n in range(50)
    }
    assert table.folder(folder) == first
    (folder / "1" / "4.txt").write_text("changed")
    changed = table.folder(folder)
    assert read[50:] == ["4.txt"]
    assert {name for name in first if first[name] != changed[name]} == {"1/4.txt"}
    assert {path for path, _, _ in table.known_files()} == {str(folder / name) for name in first}
    table.close()


def test_a_table_that_is_shared_keeps_no_log_beside_it(tmp_path: Path) -> None:
    table = DigestTable(tmp_path / "table.sqlite", shared=True)
    (tmp_path / "file").write_bytes(b"x")
    table.know([(tmp_path / "file", "0" * 64)])
    assert [path.name for path in tmp_path.glob("table.sqlite*")] == ["table.sqlite"]
    table.close()


def test_a_failed_write_leaves_the_table_usable(tmp_path: Path) -> None:
    table = DigestTable(tmp_path / "table.sqlite")
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(sqlite3.Error):
        table.know_at([(tmp_path / "file", (tmp_path / "file").stat(), object())])  # type: ignore[list-item]
    table.know([(tmp_path / "file", "0" * 64)])
    assert table.recall(tmp_path / "file", (tmp_path / "file").stat()) == "0" * 64
    table.close()
