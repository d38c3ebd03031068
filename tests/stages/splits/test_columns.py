from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelyard.artifacts import Splits
from modelyard.errors import DataError
from modelyard.stages.splits.checks import check_splits
from modelyard.stages.splits.columns import columns_of

X, Y = np.zeros((4, 3), np.float32), np.arange(4)
IDS = np.zeros((4, 5), np.int64)


def splits(train: object, test: object | None = None, **more: object) -> Splits:
    return Splits(train, Y, train if test is None else test, Y, ("a",), **more)  # type: ignore[arg-type]


def test_an_array_without_a_name_is_the_only_input() -> None:
    (one,) = columns_of(splits(X))
    assert (one.name, one.place("train"), one.value_range) == ("input", "train_x", None)


@pytest.mark.parametrize(
    ("dtype", "value_range"), [(np.uint8, (0, 255)), (bool, (0, 255)), (np.float32, None), (int, None)]
)
def test_a_type_has_the_range_of_its_own(dtype: type, value_range: tuple[int, int] | None) -> None:
    (one,) = columns_of(splits(X.astype(dtype)))
    assert one.value_range == value_range


def test_arrays_with_names_are_inputs_in_their_order_and_have_the_range_of_their_type() -> None:
    found = columns_of(splits({"ids": IDS, "picture": np.zeros((4, 2), np.uint8), "x": X}, value_range={"x": (-1, 1)}))
    assert [(one.name, one.value_range) for one in found] == [("ids", None), ("picture", (0, 255)), ("x", (-1, 1))]


def test_a_number_a_sample_is_an_input_that_has_a_name() -> None:
    assert [one.name for one in check_splits(splits({"age": np.arange(4.0), "x": X}))] == ["age", "x"]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (splits({"a": X}, X), "one is a dict of arrays, the other is none"),
        (splits({"a": X}, {"b": X}), "train_x has 'a', but test_x has 'b'"),
        (splits({}), "train_x has nothing, but test_x has nothing"),
        (splits({"a b": X}), "'a b' is not allowed as the name of an input"),
        (splits({"../a": X}), "not allowed as the name of an input"),
        (splits({"a": X.tolist()}), r"train_x\['a'\]: is a list, not a numpy array"),
        (splits({"a": X, "b": X[:3]}), r"train_x\['b'\]: has 3 samples, but train_x\['a'\] has 4"),
        (splits({"a": X}, {"a": X[:, :2]}), r"train_x\['a'\]: a sample has the shape \(3,\), but in test_x\['a'\] it has \(2,\)"),
        (splits({"a": X}, value_range=(0, 1)), r"value_range: \(0, 1\) is one range for 1 arrays"),
        (splits({"a": X}, value_range={"b": (0, 1)}), "value_range: there is no array 'b'"),
        (splits({"a": X, "t": ["t"] * 4}, value_range={"t": (0, 1)}), r"value_range\['t'\]: train_x\['t'\] holds texts, which have no"),
        (splits({"a": X, "t": ["t"] * 3}), r"train_x\['t'\]: has 3 samples, but train_x\['a'\] has 4"),
        (splits([["a", "b"]] * 4, ["a"] * 4), r"train_x: a sample has the shape \(2,\), but in test_x it has \(\)"),
        (splits({"a": X}, value_range={"a": (1, 0)}), r"value_range\['a'\]: \(1, 0\) is not a range"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(found: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_splits(found)


@pytest.mark.parametrize("texts", [["a", "b"], [b"a"], np.array(["a", "b"], object), np.array([b"a"])])
def test_texts_are_an_input(texts: object) -> None:
    (one,) = columns_of(splits(texts))
    assert (one.shape, one.value_range, one.train[:1].tolist()) == ((), None, [b"a"])


@pytest.mark.parametrize(
    ("given", "is_scaled"), [({}, True), ({"value_range": (0, 1)}, True), ({"value_range": None}, False)]
)
def test_measurements_are_scaled_unless_they_are_said_to_have_no_range(given: dict[str, Any], is_scaled: bool) -> None:
    (one,) = columns_of(splits(X, **given))
    assert one.is_scaled == is_scaled
