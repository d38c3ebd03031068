"""The table of digests under load: many files, many tables, failed writes."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from pathlib import Path

import pytest

from modelyard.files import digests
from modelyard.files.digests import DigestTable
from modelyard.files.hashing import Hashed, Sized, hash_and_stat


def test_a_folder_of_several_batches_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "_BATCH", 7)
    read: list[str] = []

    def counted(files: list[Sized]) -> list[Hashed]:
        read.extend(Path(path).name for path, _ in files)
        return hash_and_stat(files)

    monkeypatch.setattr(digests, "hash_and_stat", counted)
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
    table.add([(tmp_path / "file", "0" * 64)])
    assert [path.name for path in tmp_path.glob("table.sqlite*")] == ["table.sqlite"]
    table.close()


def test_a_failed_write_leaves_the_table_usable(tmp_path: Path) -> None:
    table = DigestTable(tmp_path / "table.sqlite")
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(sqlite3.Error):
        table.add_at([(tmp_path / "file", (tmp_path / "file").stat(), object())])  # type: ignore[list-item]
    table.add([(tmp_path / "file", "0" * 64)])
    assert table.recall(tmp_path / "file", (tmp_path / "file").stat()) == "0" * 64
    table.close()
