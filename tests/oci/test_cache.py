from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from modelyard.oci.cache import SHARED, FileCache, canonical_json, folder_of_images

if TYPE_CHECKING:
    from pathlib import Path


def test_a_damaged_file_is_not_given_out(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"data")
    cache, digest = FileCache(tmp_path / "cache"), hashlib.sha256(b"data").hexdigest()
    path = cache.put(tmp_path / "f", digest, "f")
    assert cache.get(digest, "f") == path
    path.write_bytes(b"dat4")
    assert cache.get(digest, "f") is None
    assert not path.exists()


def test_json_is_canonical() -> None:
    assert canonical_json({"b": "é", "a": [1]}) == '{"a":[1],"b":"é"}'.encode()


def test_all_projects_of_a_machine_may_share_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(SHARED, "~/shared")
    assert folder_of_images(tmp_path / "own") == tmp_path / "shared"
    monkeypatch.setenv(SHARED, "")
    assert folder_of_images(tmp_path / "own") == tmp_path / "own"
