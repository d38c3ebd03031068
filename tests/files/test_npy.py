from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modelyard.errors import DataError
from modelyard.files.npy import open_array


def written(folder: Path, array: np.ndarray) -> Path:
    np.save(folder / "x.npy", array, allow_pickle=True)
    return folder / "x.npy"


def test_an_array_is_mapped_and_cannot_be_changed(tmp_path: Path) -> None:
    array = open_array(written(tmp_path, np.arange(6).reshape(2, 3)))
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert isinstance(array, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = 1


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.npy: holds pickled objects, which are never loaded\n  build the stage"):
        open_array(written(tmp_path, np.array([{}], dtype=object)))


@pytest.mark.parametrize("keep", [0, 5, 60, -1])
def test_a_file_that_was_cut_says_what_to_do(tmp_path: Path, keep: int) -> None:
    file = written(tmp_path, np.arange(100))
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"x\.npy: cannot be read as an array: .+\n  fetch it again"):
        open_array(file, "fetch it again")


def test_a_header_that_lies_takes_no_memory(tmp_path: Path) -> None:
    file = written(tmp_path, np.arange(8, dtype=np.int64))
    content = file.read_bytes()
    assert b"(8,), }           " in content
    file.write_bytes(content.replace(b"(8,), }           ", b"(8000000000000,), }")[: len(content)])
    with pytest.raises(DataError, match="cannot be read as an array"):
        open_array(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.npy: cannot be read as an array: .*No such file"):
        open_array(tmp_path / "x.npy")
