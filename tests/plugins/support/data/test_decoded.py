from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np

from modelyard_plugins.support.data.decoded import Decoded

SHAPE = (2, 2, 3)


class Making:
    """Makes pixels, and counts how often."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, _: Path) -> np.ndarray:
        self.count += 1
        return np.arange(12, dtype=np.uint8).reshape(SHAPE)


def ask(folder: Path, content: bytes, make: Making) -> int:
    """Ask for what is made of `content`, and return how often something was made."""
    before = make.count
    (folder / "a picture").write_bytes(content)
    with Decoded(folder, "2x2x3") as decoded:
        np.testing.assert_array_equal(decoded.pixels(folder / "a picture", make, SHAPE), np.arange(12).reshape(SHAPE))
    return make.count - before


def test_what_was_made_once_is_found_again(tmp_path: Path) -> None:
    make = Making()
    assert [ask(tmp_path, content, make) for content in (b"a", b"a", b"b", b"a", b"b")] == [1, 0, 1, 0, 0]


def test_pixels_that_were_damaged_are_made_anew(tmp_path: Path) -> None:
    make = Making()
    ask(tmp_path, b"a", make)
    (file,) = (tmp_path / "pictures").glob("*.sqlite")
    with sqlite3.connect(file) as base:
        base.execute("update pictures set pixels = ?", (bytes(12),))
    base.close()
    assert [ask(tmp_path, b"a", make) for _ in range(2)] == [1, 0]


def test_a_file_that_is_none_is_begun_anew(tmp_path: Path) -> None:
    make = Making()
    ask(tmp_path, b"a", make)
    (file,) = (tmp_path / "pictures").glob("*.sqlite")
    file.write_bytes(b"this is no database" * 1000)
    assert [ask(tmp_path, b"a", make) for _ in range(2)] == [1, 0]


def test_without_a_place_to_keep_anything_each_is_made(tmp_path: Path) -> None:
    (tmp_path / "pictures").write_text("a file where the folder should be")
    make = Making()
    assert [ask(tmp_path, b"a", make) for _ in range(2)] == [1, 1]
