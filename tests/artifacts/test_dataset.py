"""Samples may have been damaged, or written by somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.facts import dataset_facts

from modelyard.artifacts import Dataset
from modelyard.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY\x01\x00\xff\xff{", b"\x93NUMPY\x09\x00", b"\x80\x04N."])
def test_damaged_samples_are_an_error_in_words(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "train_x.npy").write_bytes(data)
    with pytest.raises(DataError, match=r"train_x\.npy: cannot be read as an array: .+\n  build the stage"):
        Dataset(tmp_path, dataset_facts(input_shape=(4,), class_names=("a", "b"))).x("train")


def test_an_array_that_says_more_than_there_is_costs_no_memory(tmp_path: Path) -> None:
    np.lib.format.open_memmap(tmp_path / "train_x.npy", "w+", np.uint8, (4, 4)).flush()
    data = (tmp_path / "train_x.npy").read_bytes()
    (tmp_path / "train_x.npy").write_bytes(data.replace(b"(4, 4), }         ", b"(4, 4000000000000), }"[:18].ljust(18)))
    with pytest.raises(DataError, match=r"train_x\.npy: cannot be read as an array"):
        Dataset(tmp_path, dataset_facts(input_shape=(4,), class_names=("a", "b"))).x("train")
