from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.errors import DataError
from modelyard_plugins.support import memory
from modelyard_plugins.support.data.npz import read_npz


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_every_array_is_read(tmp_path: Path, save: Any) -> None:
    made = {
        "x": np.arange(6.0).reshape(2, 3),
        "f": np.asfortranarray(np.eye(3)),
        "n": np.array(["a", "bc"]),
        "e": np.zeros(0),
    }
    save(tmp_path / "a.npz", **made)
    found = read_npz(tmp_path / "a.npz")
    assert all(np.array_equal(found[name], array) for name, array in made.items())


def test_a_header_that_lies_costs_no_memory(tmp_path: Path) -> None:
    data = npy(np.zeros(4, np.uint8)).replace(b"(4,), }             ", b"(4000000000000,), } ")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", data)
    with pytest.raises(
        DataError, match=r"x\.npy: its header says 4,000,000,000,128 bytes, but it has 132\n  save plain"
    ):
        read_npz(tmp_path / "a.npz")


def test_what_unpacks_to_more_than_the_memory_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros(1_000_000, np.uint8))
    monkeypatch.setattr(memory, "memory_bytes", lambda: 1_000_000)
    with pytest.raises(DataError, match=r"unpacks to 1,000,128 bytes, but the machine has 1,000,000\n  make a folder"):
        read_npz(tmp_path / "a.npz")


def test_the_memory_is_that_of_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = memory.memory_bytes()
    monkeypatch.setattr(memory, "_LIMIT", tmp_path / "memory.max")
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.memory_bytes() >= whole > 1 << 20
    (tmp_path / "memory.max").write_text("1048576\n")
    assert memory.memory_bytes() == 1 << 20


@pytest.mark.parametrize("array", [np.array([{}]), np.array([(1, {})], [("a", int), ("b", object)])])
def test_pickled_objects_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", x=array)
    with pytest.raises(DataError, match=r"a\.npz: holds pickled objects, which are never loaded\n  save plain"):
        read_npz(tmp_path / "a.npz")
