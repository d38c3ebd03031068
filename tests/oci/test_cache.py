from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from modelyard.oci.cache import FileCache, atomic_path, canonical_json, read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def write_half() -> None:
        with atomic_path(tmp_path / "a") as temporary:
            temporary.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_not_given_out(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"data")
    cache, digest = FileCache(tmp_path / "cache"), hashlib.sha256(b"data").hexdigest()
    path = cache.put(tmp_path / "f", digest, "f")
    assert cache.get(digest, "f") == path
    path.write_bytes(b"dat4")
    assert cache.get(digest, "f") is None
    assert not path.exists()


def test_json_is_canonical_and_damage_is_none(tmp_path: Path) -> None:
    assert canonical_json({"b": "é", "a": [1]}) == '{"a":[1],"b":"é"}'.encode()
    write_json(tmp_path / "x.json", {"a": 1})
    assert read_json(tmp_path / "x.json") == {"a": 1}
    (tmp_path / "x.json").write_text("{")
    assert read_json(tmp_path / "x.json") is None
    assert read_json(tmp_path / "none.json") is None
