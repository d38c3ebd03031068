"""Hashing many files at once gives what hashing each alone gives, however they are read."""

from __future__ import annotations

import hashlib
import itertools
import os
from pathlib import Path

import pytest

from modelyard.errors import DataError
from modelyard.files import hashing
from modelyard.files.hashing import hash_file, hash_files


@pytest.mark.parametrize(
    "size",
    [
        0,
        1,
        hashing._SMALL_BYTES - 1,
        hashing._SMALL_BYTES,
        hashing._SMALL_BYTES + 1,
        hashing.LARGE_BYTES,
        hashing._BUFFER_BYTES,
        hashing._BUFFER_BYTES + 12_345,
    ],
)
@pytest.mark.parametrize("wrong_by", [None, 0, -1, 1])
def test_every_size_is_hashed_whole_whatever_is_said_of_it(size: int, wrong_by: int | None, tmp_path: Path) -> None:
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    said = -1 if wrong_by is None else size + wrong_by
    assert hash_files([(str(tmp_path / "file"), said)]) == [hashlib.sha256(content).hexdigest()]
    assert hash_file(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_a_file_that_says_it_is_empty_is_read_to_its_end() -> None:
    version = Path("/proc/version")
    assert version.stat().st_size == 0
    assert hash_files([(str(version), 0)]) == [hashlib.sha256(version.read_bytes()).hexdigest()]


def test_large_and_small_files_side_by_side_keep_their_order(tmp_path: Path) -> None:
    contents = [os.urandom(hashing.LARGE_BYTES + n if n % 2 else n) for n in range(9)]
    files = write(tmp_path, contents)
    assert hash_files(files) == [hashlib.sha256(content).hexdigest() for content in contents]
    with pytest.raises(DataError, match=r"nothing: cannot be read: No such file"):
        hash_files([*files, (str(tmp_path / "nothing"), hashing.LARGE_BYTES)])


@pytest.mark.parametrize("waits", [False, True])
def test_many_small_files_are_asked_for_at_once_if_the_disk_must_be_waited_for(
    waits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    counted = itertools.count(step=hashing._FIRST if waits else 0)
    advise = os.posix_fadvise
    monkeypatch.setattr(hashing, "waits", lambda: next(counted))
    monkeypatch.setattr(
        os, "posix_fadvise", lambda file, *rest: (asked.append(os.fstat(file).st_ino), advise(file, *rest))
    )
    contents = [os.urandom(number * 1000) for number in range(2 * hashing._AT_ONCE + hashing._FIRST + 1)]
    files = write(tmp_path, contents)
    assert hash_files(files) == [hashlib.sha256(content).hexdigest() for content in contents]
    assert asked == ([os.stat(path).st_ino for path, _ in files[hashing._FIRST :]] if waits else [])


def test_the_one_of_many_files_that_cannot_be_read_is_named_and_none_stays_open(tmp_path: Path) -> None:
    files = write(tmp_path, [b"x"] * 50)
    (tmp_path / "folder").mkdir()
    for bad, why in (("nothing", "No such file"), ("folder", "Is a directory")):
        before = len(list(Path("/proc/self/fd").iterdir()))
        with pytest.raises(DataError, match=rf"/{bad}: cannot be read: {why}"):
            hash_files([*files, (str(tmp_path / bad), 1)])
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_stat_is_that_after_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read = tmp_path / "a", os.read
    path.write_bytes(b"hello")

    def slow(file: int, count: int) -> bytes:
        found = read(file, count)
        path.write_bytes(b"longer than before")
        return found

    monkeypatch.setattr(os, "read", slow)
    [(digest, info)] = hashing.hash_and_stat([(str(path), 5)])
    assert digest == hashlib.sha256(b"hello").hexdigest()
    assert info.st_size == len(b"longer than before")


def write(folder: Path, contents: list[bytes]) -> list[tuple[str, int]]:
    files = []
    for number, content in enumerate(contents):
        path = folder / str(number)
        path.write_bytes(content)
        files.append((str(path), len(content)))
    return files
