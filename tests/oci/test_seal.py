"""Notes of a cache that somebody else may have written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard.oci import seal
from modelyard.oci.seal import key_file, read_sealed, write_sealed


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    seal._key.cache_clear()
    yield tmp_path / "state"
    seal._key.cache_clear()


@pytest.fixture
def note(tmp_path: Path) -> Path:
    path = tmp_path / "apt" / "a.json"
    write_sealed(path, {"at": 1, "lock": ["x"]})
    return path


def test_what_was_written_is_read_by_another_process_of_the_same_user(note: Path, tmp_path: Path) -> None:
    seal._key.cache_clear()
    assert read_sealed(note) == {"at": 1, "lock": ["x"]}
    shutil.copytree(note.parent, tmp_path / "clone" / "apt")
    assert read_sealed(tmp_path / "clone" / "apt" / "a.json") == {"at": 1, "lock": ["x"]}, "a project may move"


def test_another_value_place_or_user_is_not_believed(note: Path, home: Path) -> None:
    found = json.loads(note.read_bytes())
    changes: list[Any] = [
        {**found, "value": {"at": 2}},
        {"value": found["value"]},
        {**found, "seal": 7},
        [],
        None,
        found["value"],
    ]
    for changed in changes:
        note.with_name("b.json").write_text(json.dumps(changed))
        assert read_sealed(note.with_name("b.json")) is None
    note.with_name("b.json").write_bytes(note.read_bytes())
    assert read_sealed(note.with_name("b.json")) is None, "what is true of a is not said of b"
    shutil.rmtree(home)
    seal._key.cache_clear()
    assert read_sealed(note) is None


def test_the_key_is_the_users_alone(note: Path) -> None:
    path = key_file()
    assert path is not None
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [one.name for one in path.parent.iterdir()] == ["seal.key"]
    path.chmod(0o644)
    seal._key.cache_clear()
    assert read_sealed(note) is None, "one that others could read is replaced"
    assert path.stat().st_mode & 0o777 == 0o600


def test_where_no_key_can_be_kept_notes_hold_for_the_process(note: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    seal._key.cache_clear()
    write_sealed(note, 7)
    assert read_sealed(note) == 7
    seal._key.cache_clear()
    assert read_sealed(note) is None
