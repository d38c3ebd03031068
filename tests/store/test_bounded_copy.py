from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

fsspec = pytest.importorskip("fsspec")

from modelyard.store.bounded_copy import bounded, read_small  # noqa: E402


@pytest.fixture(params=["memory", "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, str]:
    """A file system and the path of a file in it, 100 bytes long."""
    fs = fsspec.filesystem(request.param)
    path = str(tmp_path / "source")
    fs.pipe_file(path, bytes(range(100)))
    return fs, path


@pytest.mark.parametrize("most", [100, 101, 10**9])
def test_a_file_that_is_as_long_as_it_may_be_is_copied(place: tuple[Any, str], tmp_path: Path, most: int) -> None:
    fs, path = place
    with bounded(most) as copy:
        assert copy.fetch(fs, path, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == bytes(range(100))


@pytest.mark.parametrize("most", [0, 99])
def test_a_file_that_is_longer_is_refused(place: tuple[Any, str], tmp_path: Path, most: int) -> None:
    fs, path = place
    with bounded(most) as copy:
        assert not copy.fetch(fs, path, tmp_path / "target")
    with bounded(most) as copy:
        assert read_small(fs, path, copy) == b""


def test_a_copy_that_nobody_waits_for_ends(place: tuple[Any, str], tmp_path: Path) -> None:
    fs, path = place
    with bounded(1000) as copy:
        pass
    assert not copy.fetch(fs, path, tmp_path / "target")


def test_a_small_file_is_read(place: tuple[Any, str]) -> None:
    fs, path = place
    with bounded(100) as copy:
        assert read_small(fs, path, copy) == bytes(range(100))


def test_a_missing_file_is_an_error(place: tuple[Any, str], tmp_path: Path) -> None:
    fs, path = place
    with bounded(100) as copy, pytest.raises(FileNotFoundError):
        copy.fetch(fs, f"{path}-none", tmp_path / "target")
