"""Columns of several lengths: which vary together, and what their axis is called."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelyard.artifacts import Splits
from modelyard.errors import DataError
from modelyard.files.ragged import RaggedArray
from modelyard.stages.splits.axes import following
from modelyard.stages.splits.checks import check_splits
from modelyard.tensors import OutputFacts


def ragged(*lengths: int, pad: float = 0) -> RaggedArray:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return RaggedArray.of(np.zeros((offsets[-1], 2), np.float32), offsets, pad)


def splits(train: Any, test: Any, **more: Any) -> Splits:
    y = np.arange(2)
    return Splits(train, y, test, y, value_range=None, **more)


def test_one_axis_has_a_name_and_its_mask_goes_with_it() -> None:
    one, other = ragged(1, 2), ragged(3, 1)
    train = {"words": one, "words_mask": one.mask(), "year": np.zeros(2)}
    test = {"words": other, "words_mask": other.mask(), "year": np.zeros(2)}
    words, mask, year = check_splits(splits(train, test))
    assert (words.axis, words.mask, words.shape) == ("length", "", ("length", 2))
    assert (mask.axis, mask.mask, mask.shape) == ("length", "words", ("length",))
    assert (year.axis, year.mask, year.shape) == ("", "", ())


def test_columns_of_other_lengths_have_an_axis_each() -> None:
    train, test = ({"ids": ragged(1, 2), "sound": ragged(5, 6), "tags": ragged(1, 2)} for _ in range(2))
    assert [one.axis for one in check_splits(splits(train, test))] == ["ids_length", "sound_length", "ids_length"]


@pytest.mark.parametrize(
    ("train", "test", "told"),
    [
        (ragged(1, 2), np.zeros((2, 3)), "train_x and test_x: the samples of one are of several lengths, those of the"),
        (ragged(1, 2), ragged(2, 0), "test_x: sample 1 is empty: it is 0 long\n"),
        (ragged(1, 2, pad=float("nan")), ragged(1, 1), "train_x: pad = nan is no value of float32\n"),
    ],
)
def test_what_is_not_alike_is_told(train: Any, test: Any, told: str) -> None:
    with pytest.raises(DataError) as caught:
        check_splits(splits(train, test))
    assert str(caught.value).startswith(told)


def test_an_answer_for_each_position_varies_with_the_samples() -> None:
    columns = check_splits(splits(ragged(1, 4), ragged(2, 5)))
    wanted = OutputFacts(name="tags", shape=(5, 3))
    assert following(wanted, columns).shape == ("length", 3)
    with pytest.raises(DataError, match=r"labels have up to 9 positions, but the longest sample of train_x has 5\n"):
        following(OutputFacts(name="tags", shape=(9, 3)), columns)
    fixed = check_splits(splits(np.zeros((2, 5)), np.zeros((2, 5))))
    assert following(wanted, fixed) == wanted
