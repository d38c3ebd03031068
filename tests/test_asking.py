"""What a model is asked together, and how its answers are put together."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from modelyard.asking import batches, some_of, stacked
from modelyard.files.ragged import RaggedArray


def ragged(lengths: list[int]) -> RaggedArray:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return RaggedArray.of(np.arange(offsets[-1]), offsets, -1)


@given(lengths=st.lists(st.integers(1, 4), min_size=1, max_size=20), most=st.integers(1, 6))
def test_samples_of_one_length_are_asked_together_and_each_once(lengths: list[int], most: int) -> None:
    column = ragged(lengths)
    found = batches(len(lengths), most, {"length": np.array(lengths)})
    assert sorted(row for rows in found for row in np.r_[rows].tolist()) == list(range(len(lengths)))
    for rows in found:
        assert len(rows) <= most  # type: ignore[arg-type]
        assert not (column[rows] == -1).any()


def test_samples_of_one_shape_are_asked_in_their_order() -> None:
    assert batches(5, 2, {}) == [slice(0, 2), slice(2, 4), slice(4, 6)]


def test_answers_of_several_lengths_are_filled() -> None:
    found = stacked([np.ones((1, 2, 3)), np.ones((2, 4, 3))])
    assert found.shape == (3, 4, 3)
    assert found.sum(axis=(1, 2)).tolist() == [6, 12, 12]
    assert stacked([np.ones((1, 2)), np.ones((2, 2))]).shape == (3, 2)


def test_some_rows_keep_their_lengths() -> None:
    some = some_of({"words": ragged([3, 1, 2]), "year": np.arange(3)}, np.array([1, 2]))  # type: ignore[dict-item]
    assert some["words"].shape == (2, 2)
    assert some["words"][:1].shape == (1, 1)
    assert some["year"].tolist() == [1, 2]
