from __future__ import annotations

import contextlib
import gzip
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from modelyard import DataError
from modelyard_plugins.support.data.idx import read_idx


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def read(data: bytes, dimensions: int, packed: bool = False) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("x.gz" if packed else "x")
        path.write_bytes(gzip.compress(data, 1) if packed else data)
        return read_idx(path, dimensions)


@given(arrays(np.uint8, array_shapes(max_dims=4, max_side=6)), st.booleans())
def test_reads_back_any_array_of_bytes(array: Any, packed: Any) -> None:
    assert np.array_equal(read(idx(array), array.ndim, packed), array)


@given(arrays(np.uint8, array_shapes(max_dims=3, max_side=5)), st.data())
def test_a_file_cut_anywhere_is_refused(array: Any, data: Any) -> None:
    whole = idx(array)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(DataError):
        read(whole[:cut], array.ndim)
    packed = gzip.compress(whole)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.gz"
        path.write_bytes(packed[: data.draw(st.integers(0, len(packed) - 1))])
        with pytest.raises(DataError):
            read_idx(path, array.ndim)


@given(st.binary(max_size=64), st.integers(1, 3))
def test_no_bytes_raise_anything_but_data_error(data: Any, dimensions: Any) -> None:
    for packed in (False, True):
        with contextlib.suppress(DataError):
            assert read(data, dimensions, packed).ndim == dimensions


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\0\0\x08\x01" + struct.pack(">I", 2), "starts with '00000801', not with the magic number '00000803'"),
        (b"\0\0\x0d\x03", "magic number"),
        (b"\0\0\x08\x03\0\0", "ends within its header"),
        (idx(np.zeros((2, 3, 3), np.uint8)) + b"!", "18 bytes, but there are more"),
        (b"\0\0\x08\x03" + struct.pack(">3I", 2**31, 2**31, 2**31) + b"abc", "but there are 3"),
    ],
)
def test_says_what_is_wrong_with_the_file(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(data, 3)


def test_a_missing_file_and_a_file_that_is_not_gzip_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.gz: not found"):
        read_idx(tmp_path / "gone.gz", 1)
    (tmp_path / "x.gz").write_bytes(b"\0\0\x08\x01")
    with pytest.raises(DataError, match=r"x\.gz: cannot be read: Not a gzipped file"):
        read_idx(tmp_path / "x.gz", 1)


def test_a_small_file_that_unpacks_to_more_than_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard_plugins.support.memory.memory_bytes", lambda: 1000)
    with pytest.raises(DataError, match=r"x\.gz: unpacks to 1,001 bytes, but the machine has 1,000"):
        read(idx(np.zeros((1, 1, 1001), np.uint8)), 3, packed=True)
