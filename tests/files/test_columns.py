"""Columns of texts and other bytes: written block by block, read sample by sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from modelyard.asking import rows_of
from modelyard.files.columns import open_column, write_texts

VALUES = [b"a", b"", b"\x00\xff\x00", "ä".encode() * 9, b"end\x00"]


def texts(values: list[bytes]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def written(folder: Path, name: str, *blocks: list[bytes]) -> None:
    assert [block.tolist() for block in write_texts(folder, name, map(texts, blocks))] == [*blocks]


def test_what_is_written_is_read_by_row_and_by_rows(tmp_path: Path) -> None:
    written(tmp_path, "text", *(VALUES[at : at + 2] for at in range(0, 5, 2)))

    column = open_column(tmp_path, "text", "bytes")

    assert len(column) == 5
    assert column[:].tolist() == VALUES
    assert column[1:3].tolist() == VALUES[1:3]
    assert column[np.array([4, 0])].tolist() == [VALUES[4], VALUES[0]]
    assert [column[row] for row in range(5)] == VALUES
    assert rows_of({"text": column}, 4)["text"].tolist() == VALUES[4]
    assert rows_of({"text": column}, 2)["text"].dtype == object


def test_files_are_those_of_numpy_whatever_the_blocks(tmp_path: Path) -> None:
    for name, step in (("one", 1), ("all", 5)):
        written(tmp_path, name, *(VALUES[at : at + step] for at in range(0, 5, step)))
    np.save(tmp_path / "own.npy", np.frombuffer(b"".join(VALUES), np.uint8))

    values = [(tmp_path / name).read_bytes() for name in ("one.values.npy", "all.values.npy", "own.npy")]

    assert values[0] == values[1] == values[2]


def test_nothing_but_empty_texts_can_be_read(tmp_path: Path) -> None:
    written(tmp_path, "text", [b"", b""])
    assert open_column(tmp_path, "text", "bytes")[:].tolist() == [b"", b""]


def test_a_sample_may_be_an_array_of_texts(tmp_path: Path) -> None:
    block = texts([*VALUES, b"f"]).reshape(3, 1, 2)
    assert list(map(np.shape, write_texts(tmp_path, "text", [block]))) == [(3, 1, 2)]
    column = open_column(tmp_path, "text", "bytes", (1, 2))
    assert (len(column), column.shape) == (3, (3, 1, 2))
    assert column[1:].tolist() == block[1:].tolist()
    assert column[2].tolist() == block[2].tolist()
    assert rows_of({"text": column}, np.array([1]))["text"].tolist() == block[1:2].tolist()
