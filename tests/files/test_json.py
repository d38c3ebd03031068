"""Small files are written and read whole, however little the system takes or gives at a time."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from modelyard.files import json as jsonfiles
from modelyard.files.json import find_json, prepare, read_bytes, write_bytes, write_json


@pytest.mark.parametrize("size", [0, 1, jsonfiles._READ_BYTES, jsonfiles._READ_BYTES + 1, 5 * jsonfiles._READ_BYTES])
def test_what_is_written_is_read(size: int, tmp_path: Path) -> None:
    content = os.urandom(size)
    write_bytes(tmp_path / "file", content)
    assert (tmp_path / "file").read_bytes() == read_bytes(tmp_path / "file") == content


def test_a_longer_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"longer")
    write_bytes(tmp_path / "file", b"new")
    assert read_bytes(tmp_path / "file") == b"new"


def test_a_write_that_takes_a_part_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:3]))
    write_bytes(tmp_path / "file", b"0123456789")
    assert read_bytes(tmp_path / "file") == b"0123456789"


def test_a_full_disk_is_an_error() -> None:
    with pytest.raises(OSError, match="No space left"):
        write_json(Path("/dev/full"), {"a": 1})


def test_a_kind_is_prepared_for_what_is_forked() -> None:
    class Facts(msgspec.Struct):
        names: dict[str, tuple[int, ...]]

    prepare([Facts, dict])
    assert msgspec.json.decode(b'{"names": {"a": [1]}}', type=Facts) == Facts({"a": (1,)})


@pytest.mark.parametrize("text", [b"{", b"", b"\xff", b'{"a": "b"}', b"[1]", b"[" * 99999])
def test_what_cannot_be_read_is_not_found(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "x.json").write_bytes(text)
    assert find_json(tmp_path / "x.json", dict[str, int]) is None
    write_json(tmp_path / "x.json", {"a": 1})
    assert find_json(tmp_path / "x.json", dict[str, int]) == {"a": 1}
    assert find_json(tmp_path / "none.json", dict[str, int]) is None
    assert find_json(tmp_path, dict[str, int]) is None
