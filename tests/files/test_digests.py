from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from modelyard.errors import DataError
from modelyard.files import digests
from modelyard.files.digests import DigestTable
from modelyard.files.hashing import Hashed, Sized, hash_and_stat, hash_file
from modelyard.files.manifest import FileEntry
from tests.files.settled import HELLO, write


def test_a_digest_is_sha_256(tmp_path: Path, table: DigestTable) -> None:
    assert table.file(write(tmp_path / "a", "hello")) == HELLO


def test_a_file_is_read_once_for_each_change(tmp_path: Path, table: DigestTable, hashed: list[str]) -> None:
    path = write(tmp_path / "a", "hello")
    assert {table.file(path) for _ in range(3)} == {HELLO}
    assert hashed == ["a"]
    write(path, "other")
    assert table.file(path) != HELLO
    assert hashed == ["a", "a"]


def test_another_process_does_not_read_it_again(tmp_path: Path, hashed: list[str]) -> None:
    path = write(tmp_path / "a", "hello")
    for _ in range(2):
        table = DigestTable(tmp_path / "state.sqlite")
        assert table.file(path) == HELLO
        table.close()
    assert hashed == ["a"]


def test_an_edit_that_keeps_size_and_mtime_is_noticed(tmp_path: Path, table: DigestTable) -> None:
    path = write(tmp_path / "a", "hello")
    before, digest = path.stat(), table.file(path)
    path.write_text("HELLO")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)
    assert table.file(path) != digest


def test_a_file_put_in_its_place_with_the_same_stamp_is_noticed(tmp_path: Path, table: DigestTable) -> None:
    path, other = write(tmp_path / "a", "hello"), write(tmp_path / "b", "HELLO")
    digest = table.file(path)
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)
    assert table.file(path) != digest


def test_a_file_changed_a_moment_ago_is_not_trusted(
    tmp_path: Path, table: DigestTable, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "RACY_NS", 3_600_000_000_000)
    path = tmp_path / "a"
    path.write_text("hello")
    assert table.file(path) == table.file(path) == HELLO
    assert hashed == ["a", "a"], "within a clock tick the stat may not show an edit"


def test_a_digest_of_a_file_that_changed_while_it_was_read_is_not_kept(
    tmp_path: Path, table: DigestTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a", "hello")

    read = os.read

    def slow(file: int, count: int) -> bytes:
        found = read(file, count)
        write(path, "HELLO")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(os, "read", slow)
        assert table.file(path) == HELLO
    assert table.file(path) == hash_file(path) != HELLO


def test_a_file_that_changes_twice_in_one_tick_is_not_trusted_however_long_reading_it_takes(
    tmp_path: Path, table: DigestTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "RACY_NS", 200_000_000)
    path = tmp_path / "a"
    path.write_text("hello")
    before = path.stat()

    def slow(files: list[Sized]) -> list[Hashed]:
        time.sleep(0.3)
        return hash_and_stat(files)

    with monkeypatch.context() as patch:
        patch.setattr(digests, "hash_and_stat", slow)
        assert table.file(path) == HELLO
    assert table.recall(path, before) is None, "a change just after its stat may have the same stat"


def test_what_modelyard_wrote_itself_is_not_read(tmp_path: Path, table: DigestTable, hashed: list[str]) -> None:
    path = write(tmp_path / "a", "hello")
    table.add([(path, HELLO)])
    assert table.is_known(str(path), path.stat(), HELLO)
    assert not table.is_known(str(path), path.stat(), "0" * 64)
    assert hashed == []


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path, table: DigestTable) -> None:
    with pytest.raises(DataError, match=r"nothing: cannot be read: No such file"):
        table.file(tmp_path / "nothing")
    assert not table.is_known(str(tmp_path), tmp_path.stat(), HELLO)


# Folders


def test_a_folder_stands_for_names_bytes_and_modes(tmp_path: Path, table: DigestTable) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    write(folder / "a", "hello")
    first = table.content(folder)
    assert table.folder(folder) == {"a": FileEntry(HELLO, 5, executable=False)}
    (folder / "a").chmod(0o755)
    executable = table.content(folder)
    (folder / "a").rename(folder / "b")
    renamed = table.content(folder)
    (folder / "b").rename(folder / "sub" / "b")
    moved = table.content(folder)
    assert len({first, executable, renamed, moved}) == 4
    folder.rename(tmp_path / "elsewhere")
    assert table.content(tmp_path / "elsewhere") == moved


def test_one_changed_file_reads_one_file(tmp_path: Path, table: DigestTable, hashed: list[str]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in "abc":
        write(folder / name, name)
    before = table.content(folder)
    write(folder / "b", "x")
    assert table.content(folder) != before
    assert hashed == ["a", "b", "c", "b"]


def test_what_was_read_ahead_needs_no_question(
    table: DigestTable, tmp_path: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, beside = tmp_path / "artifacts" / "a" / "x", tmp_path / "artifacts-not" / "y"
    for path in (inside, beside):
        path.parent.mkdir(parents=True)
        table.file(write(path, "hello"))
    table.read_ahead(tmp_path / "artifacts")
    asked: list[str] = []
    plain = table._query
    monkeypatch.setattr(table, "_query", lambda *given: (asked.append(given[1]), plain(*given))[1])
    assert table.file(inside) == table.file(beside) == HELLO
    assert asked == [str(beside)]
    assert hashed == ["x", "y"]


def test_a_file_that_changed_after_it_was_read_ahead_is_hashed_again(
    table: DigestTable, tmp_path: Path, hashed: list[str]
) -> None:
    path = write(tmp_path / "x", "hello")
    table.file(path)
    table.read_ahead(tmp_path)
    write(path, "jello")
    assert [table.file(path) != HELLO, table.file(path) != HELLO] == [True, True]
    assert hashed == ["x", "x"]
    write(path, "hello")
    assert table.file(path) == HELLO


def test_what_was_read_ahead_can_be_forgotten(table: DigestTable, tmp_path: Path, hashed: list[str]) -> None:
    path = write(tmp_path / "x", "hello")
    table.file(path)
    table.read_ahead(tmp_path)
    table.forget([str(path)])
    assert table.file(path) == HELLO
    assert hashed == ["x", "x"]


def test_what_was_just_written_down_of_an_artifact_needs_no_question_and_of_a_folder_of_many_little_memory(
    table: DigestTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / str(number) for number in range(digests._REMEMBERED + 5)]
    for path in paths:
        path.write_text("hello")
    table.add((path, HELLO) for path in paths)
    asked: list[str] = []
    plain = table._query
    monkeypatch.setattr(table, "_query", lambda *given: (asked.append(given[1]), plain(*given))[1])
    assert {table.recall(path, path.stat()) for path in paths} == {HELLO}
    assert len(asked) == 5
    paths[0].write_text("jello")
    assert table.recall(paths[0], paths[0].stat()) is None
