"""Data and models that are damaged, or made to do harm: a build ends at once, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Doit


@pytest.fixture
def with_labels(toy_project: Path):
    """Return a function that gives the toy project labels of its own, the given ones over and over."""

    def make(labels: list[int], dtype: str) -> Path:
        y = np.array(labels * 4, dtype)
        x = np.eye(len(y), 2, dtype=np.float32)
        np.savez(toy_project / "a.npz", train_x=x, train_y=y, test_x=x, test_y=y)
        pyproject = toy_project / "pyproject.toml"
        pyproject.write_text(pyproject.read_text().replace('use = "points"', 'use = "arrays"\npath = "a.npz"'))
        return toy_project

    return make


@pytest.mark.parametrize(
    ("labels", "dtype", "words"),
    [
        ([0, 1, 2**31 - 2], "int32", "label 2147483646 stands at 4 of 12 samples"),
        ([0, 1, 2**32 - 1], "uint32", "if it (-1 without a sign) means 'unknown' or 'ignore', leave those samples out"),
        ([0, 1, -1], "int64", "label -1 stands at 4 of 12 samples, the first is sample 2"),
        ([1, 2, 3], "int64", "labels count from 0 to 2: subtract 1 from each"),
    ],
)
def test_labels_that_are_no_classes_are_told_in_words(with_labels, doit: Doit, labels, dtype, words):
    done = doit(with_labels(labels, dtype), "dataset", timeout_s=60)
    assert done.returncode != 0
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
