from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelyard import DataError
from modelyard.stages.splits.checks import check_splits, stored_dtype
from modelyard.stages.splits.columns import columns_of


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_x": np.zeros((0, 4, 4, 3), np.uint8), "train_y": np.zeros(0, int)}, r"train_x: is empty"),
        ({"test_x": np.zeros((0, 4, 4, 3), np.uint8), "test_y": np.zeros(0, int)}, r"test_x: is empty"),
        ({"train_x": np.zeros((30, 0, 4), np.uint8)}, r"train_x: is empty, its shape is \(30, 0, 4\)"),
        ({"train_x": np.zeros(30, np.uint8)}, r"train_x: has the shape \(30,\)"),
        ({"test_y": np.zeros(11, int)}, r"test_y: has the shape \(11,\) beside 12 samples"),
        ({"test_x": np.zeros((12, 4, 4, 1), np.uint8)}, r"\(4, 4, 3\), but in test_x it has \(4, 4, 1\)"),
        ({"test_x": [np.zeros((12, 4)), np.zeros((12, 4))]}, r"test_x: is a list, not a numpy array\n  "),
        ({"train_y": None}, r"test_y: there are labels for one split alone\n  give them for both, or for none"),
        ({"value_range": (255, 0)}, r"value_range: \(255, 0\) is not a range"),
        ({"value_range": (0, float("inf"))}, r"value_range: \(0, inf\) is not a range"),
    ],
)
def test_what_does_not_fit_is_said(make_splits: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_splits(make_splits(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"train_x": np.zeros((30, 2), complex)},
            r"train_x: samples are complex128(.|\n)*allowed: uint8, int32, int64",
        ),
        ({"test_x": np.full((12, 2), "x")}, r"train_x is uint8 but test_x is texts\n  give both the same"),
        ({"train_x": np.zeros((30, 2), object)}, r"train_x: samples are object"),
        ({"test_x": np.zeros((12, 4, 4, 3), np.float32)}, r"train_x is uint8 but test_x is float32"),
        (
            {
                "train_x": np.zeros((30, 2), np.uint64),
                "test_x": np.zeros((12, 2), np.uint64),
                "value_range": (0, 2**63),
            },
            r"beyond what an int64 can hold",
        ),
        ({"value_range": (0, 1e300)}, r"beyond what a float32 can hold"),
    ],
)
def test_samples_that_cannot_be_stored_are_refused(make_splits: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        stored_dtype(columns_of(make_splits(**changes))[0])


@pytest.mark.parametrize(
    ("train", "test", "stored"),
    [
        (bool, np.uint8, np.uint8),
        (np.uint8, np.int16, np.int32),
        (np.int32, np.int64, np.int64),
        (np.uint32, np.uint32, np.int64),
    ],
)
def test_the_type_on_disk_holds_both_splits(make_splits: Any, train: Any, test: Any, stored: Any) -> None:
    changes = {"train_x": np.ones((30, 2), train), "test_x": np.ones((12, 2), test), "value_range": (0, 1)}
    assert stored_dtype(columns_of(make_splits(**changes))[0]) == stored


def test_there_need_be_no_labels(make_splits: Any) -> None:
    check_splits(make_splits(train_y=None, test_y=None))
