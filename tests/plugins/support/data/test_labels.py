from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelyard.errors import DataError
from modelyard_plugins.support.data.labels import check_labels, names_of


def said(labels: list[int], dtype: type, classes: int = 3) -> str:
    with pytest.raises(DataError) as caught:
        check_labels("train_y", np.array(labels, dtype), classes)
    return str(caught.value)


def test_every_label_of_a_class_passes() -> None:
    check_labels("train_y", np.array([0, 2, 1], np.uint8), 3)


def test_labels_that_start_at_1_are_told_to_be_counted_from_0() -> None:
    assert said([1, 2, 3, 1], int).endswith("\n  labels count from 0 to 2: subtract 1 from each")


def test_a_negative_label_is_named_with_its_samples() -> None:
    assert said([0, 1, -1, 2, -1], np.int8) == (
        "train_y: labels from -1 to 2, but there are 3 class names\n  label -1 stands at 2 of 5 samples, the first is "
        "sample 2; if it means 'unknown' or 'ignore', leave those samples out: labels count from 0 to 2"
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_minus_one_without_a_sign_is_known(dtype: Any) -> None:
    largest = np.iinfo(dtype).max
    assert f"label {largest} stands at 1 of 4 samples, the first is sample 3; if it (-1 without a sign) means" in said(
        [0, 1, 2, largest], dtype
    )


def test_a_gap_says_which_label_is_too_large() -> None:
    assert "label 7 stands at 1 of 3 samples, the first is sample 1; labels count from 0 to 2, without a gap" in said(
        [0, 7, 1], int
    )


def test_labels_that_are_no_whole_numbers_are_refused() -> None:
    assert "labels are float64" in said([0], float)


@pytest.mark.parametrize(
    ("labels", "dtype", "message"),
    [
        ([0, 1, 2, 2**31 - 2], np.int32, r"label 2147483646 stands at 10 of 40 samples, the first is sample 3;"),
        ([0, 1, 2, 2**32 - 1], np.uint32, r"label 4294967295 .*\(-1 without a sign\) means 'unknown'"),
        ([0, 1, 2, 2**64 - 1], np.uint64, r"label 18446744073709551615 .*\(-1 without a sign\)"),
        ([0, 1, -1, 2], np.int64, r"label -1 stands at 10 of 40 samples"),
        ([1, 2, 3, 4], np.int64, r"subtract 1 from each"),
    ],
)
def test_a_label_names_no_more_classes_than_there_are(labels: list[int], dtype: Any, message: str) -> None:
    """2^31 - 2 used to make two thousand million names, and -1 none at all."""
    y = np.array(labels * 10, dtype)
    assert names_of("train_y", y) == ("0", "1", "2", "3")
    with pytest.raises(DataError, match=message):
        check_labels("train_y", y, 4)


def test_values_are_not_taken_for_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard_plugins.support.data.labels._MOST_CLASSES", 3)
    with pytest.raises(DataError, match=r"train_y: 4 different labels: these are values, not classes\n.*regression"):
        names_of("train_y", np.arange(4))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "there is none"),
        (np.zeros(3, np.float32), "labels are float32"),
        (np.array(["a", "b"]), "labels are <U1"),
        (np.zeros((3, 2), int), r"has the shape \(3, 2\)"),
    ],
)
def test_what_is_no_whole_number_names_nothing(labels: np.ndarray | None, message: str) -> None:
    with pytest.raises(DataError, match=f"train_y: {message}"):
        names_of("train_y", labels)


def test_labels_that_are_no_number_are_counted_and_the_first_is_named() -> None:
    with pytest.raises(DataError) as caught:
        check_labels("train_y", np.array([0, 1, np.nan, np.inf]), 2)
    assert str(caught.value).startswith(
        "train_y: labels are float64, and 2 of 4 no finite number: that of sample 2 is nan\n"
    )
    with pytest.raises(DataError, match=r"labels are float64\n"):
        check_labels("train_y", np.array([0.0, 1.0]), 2)


def test_data_without_labels_are_pointed_at_a_task_that_needs_none() -> None:
    with pytest.raises(DataError, match=r"there is none\n.*embedding, agreement$"):
        check_labels("train_y", None, 2)
