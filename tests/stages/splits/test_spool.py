from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.errors import DataError
from modelyard.stages.splits.spool import BytesSpool, NumbersSpool


@given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=12), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_whatever_the_lengths_what_was_added_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], seed: int
) -> None:
    random = np.random.default_rng(seed)
    samples = [random.integers(1, 99, (length, 2)) for length in lengths]
    spool = NumbersSpool(tmp_path_factory.getbasetemp())
    for one in samples:
        spool.add(one, "here")
    assert (spool.shortest, spool.longest) == (min(lengths), max(lengths))
    padded = spool.padded(max(lengths), 0)
    mask = padded.mask()
    assert padded.size == padded[:].size
    for row, one in enumerate(samples):
        np.testing.assert_array_equal(padded[row][: len(one)], one)
        assert not np.any(padded[row][len(one) :])
        assert mask[row].sum() == len(one)
    chosen = random.permutation(len(samples))
    np.testing.assert_array_equal(padded[chosen], padded[:][chosen])


def test_what_was_written_outlives_what_wrote_it_and_leaves_no_file(tmp_path: Path) -> None:
    spool, texts = NumbersSpool(tmp_path), BytesSpool(tmp_path)
    for number in range(3):
        spool.add([number, number], "here")
        texts.add("ü" * number, "here")
    numbers, column = spool.array(), texts.array()
    del spool
    gc.collect()
    assert numbers.tolist() == [[0, 0], [1, 1], [2, 2]]
    assert column[:].tolist() == [("ü" * number).encode() for number in range(3)]
    assert texts.texts().tolist() == ["", "ü", "üü"]
    assert list(tmp_path.iterdir()) == []


def test_texts_are_one_a_sample_or_as_many_of_each(tmp_path: Path) -> None:
    one, several = BytesSpool(tmp_path), BytesSpool(tmp_path)
    for value in ("ä", b"\xff", "c"):
        one.add(value, "train: sample 0")
    for pair in (["a", b"b"], np.array(["c", "d"])):
        several.add(pair, "train: sample 0")
    assert one.array()[:].tolist() == ["ä".encode(), b"\xff", b"c"]
    assert several.array()[:].tolist() == [[b"a", b"b"], [b"c", b"d"]]
    assert several.texts().tolist() == [["a", "b"], ["c", "d"]]
    with pytest.raises(DataError, match=r"sample 2 has the shape \(3,\), but the first has \(2,\)\n"):
        several.add(["a", "b", "c"], "train: sample 2")
