"""Files on whatever fsspec reaches: they appear whole or not at all, and what is not there is told from what does not work."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.store.file_system import RemoteSettings, absent_is_none, connect, put, put_new, size_of, written_at

PATHS = ["memory://{}/store", "file://{}/store"]


@pytest.mark.parametrize("url", PATHS)
def test_a_new_file_leaves_one_that_is_there(url: str, tmp_path: Path) -> None:
    fs, root = connect(RemoteSettings(url.format(tmp_path)))
    assert size_of(fs, f"{root}/traces/a") is None
    for replace, data, stands in [(False, b"one", b"one"), (False, b"other", b"one"), (True, b"third", b"third")]:
        assert put_new(fs, f"{root}/traces/a", data, replace=replace)
        assert fs.cat_file(f"{root}/traces/a") == stands
    assert size_of(fs, f"{root}/traces/a") == 5


def test_a_file_that_is_cut_short_is_not_there(tmp_path: Path) -> None:
    fs, root = connect(RemoteSettings(f"file://{tmp_path}"))

    def half(target: str) -> None:
        Path(target).write_bytes(b"hal")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        put(fs, f"{root}/objects/a", half)
    assert list((tmp_path / "objects").iterdir()) == []


def test_a_file_that_is_not_there_is_none_and_a_bucket_is_an_error() -> None:
    class NoBucket(OSError):
        def __init__(self) -> None:
            self.response = {"Error": {"Code": "NoSuchBucket"}}

    def missing(cause: Exception | None) -> None:
        raise FileNotFoundError from cause

    assert absent_is_none(lambda: missing(None)) is None
    with pytest.raises(FileNotFoundError):
        absent_is_none(lambda: missing(NoBucket()))


def test_a_file_whose_age_nobody_says_counts_as_new() -> None:
    assert written_at({"mtime": 5}) == 5
    assert written_at({"updated": "1970-01-01T00:00:07+00:00"}) == 7
    assert written_at({}) > 1_700_000_000
