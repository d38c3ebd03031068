"""Samples of several lengths: padded to the longest of those that are looked at together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.errors import DataError
from modelyard.files.ragged import RaggedArray, is_ragged

LENGTHS = st.lists(st.integers(0, 9), min_size=1, max_size=12)


def column(lengths: list[int], seed: int, length: int | None = None) -> tuple[RaggedArray, list[np.ndarray]]:
    random = np.random.default_rng(seed)
    samples = [random.integers(1, 99, (length, 2)).astype(np.int32) for length in lengths]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return RaggedArray.of(np.concatenate(samples), offsets, -1, length=length), samples


@given(lengths=LENGTHS, seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_rows_are_padded_to_the_longest_beside_them(lengths: list[int], seed: int) -> None:
    ragged, samples = column(lengths, seed)
    rows = np.random.default_rng(seed).permutation(len(lengths))[: 1 + seed % len(lengths)]
    found = ragged[rows]
    assert ragged.shape == (len(lengths), max(lengths), 2)
    assert found.shape == (len(rows), max(lengths[row] for row in rows), 2)
    for row, one in zip(rows, found, strict=True):
        np.testing.assert_array_equal(one[: lengths[row]], samples[row])
        assert (one[lengths[row] :] == -1).all()
    np.testing.assert_array_equal(ragged.take(rows)[:], found)
    np.testing.assert_array_equal(ragged.mask()[rows] == 1, found[..., 0] != -1)
    assert [ragged[row].tolist() for row in range(len(lengths))] == [one.tolist() for one in samples]


@given(lengths=LENGTHS, most=st.integers(1, 200))
@settings(max_examples=60, deadline=None)
def test_blocks_hold_every_value_once_and_no_more_than_they_may(lengths: list[int], most: int) -> None:
    ragged, samples = column(lengths, 0)
    blocks = list(ragged.blocks(most))
    np.testing.assert_array_equal(np.concatenate([one.values for one in blocks]), np.concatenate(samples))
    assert [length for one in blocks for length in one.lengths] == lengths
    assert [one.first for one in blocks] == np.cumsum([0, *(len(one.lengths) for one in blocks[:-1])]).tolist()
    assert all(one.values.nbytes <= most or len(one.lengths) == 1 for one in blocks)


def test_a_fixed_length_is_that_of_all() -> None:
    ragged, _ = column([1, 3], 0, length=4)
    assert not is_ragged(ragged)
    assert ragged[0].shape == (4, 2)
    assert ragged[:1].shape == (1, 4, 2)


def test_rows_are_chosen_as_those_of_an_array() -> None:
    ragged, _ = column([2, 1, 3], 0)
    np.testing.assert_array_equal(ragged[np.array([True, False, True])], ragged[[0, 2]])
    np.testing.assert_array_equal(ragged[np.int64(1)], ragged[1])
    assert ragged[5:].shape == (0, 0, 2)


def test_an_offset_beyond_the_values_is_told_with_its_sample() -> None:
    ragged = RaggedArray.of(np.zeros(3), np.array([0, 2, 9]), 0, place="train_x.words")
    assert ragged[0].tolist() == [0, 0]
    with pytest.raises(
        DataError, match=r"train_x.words: sample 1 is said to lie from 2 to 9, but there are 3 values\n"
    ):
        ragged[:]
