"""Which samples each fold holds out: each sample in one fold, classes spread evenly, groups never torn apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.artifacts.folds import fold_numbers, group_shares
from modelyard.errors import DataError


@given(st.lists(st.integers(5, 30), min_size=1, max_size=6), st.integers(2, 5), st.integers(0, 2**32))
def test_each_class_is_spread_evenly_over_the_folds(counts: list[int], folds: int, seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    numbers = fold_numbers(len(labels), folds, seed, labels)
    for fold in range(folds):
        held_out = numbers == fold
        assert (np.abs(np.bincount(labels[held_out], minlength=len(counts)) - np.array(counts) / folds) < 1).all()
        assert abs(held_out.sum() - len(labels) / folds) < 1


def test_samples_without_classes_fall_into_folds_by_the_seed() -> None:
    first, other = (fold_numbers(10, 3, seed).tolist() for seed in (0, 1))
    assert sorted(first) == sorted(other) == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert first != other


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (np.array([0, 0, 0, 1, 1]), "the class with label 1 has 2 samples for 3 folds"),
        (None, "there are 2 samples for 3 folds"),
    ],
)
def test_each_fold_needs_a_sample_of_each_class(labels: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        fold_numbers(2 if labels is None else 5, 3, 0, labels)


@given(st.lists(st.integers(1, 9), min_size=5, max_size=30), st.integers(2, 5), st.integers(0, 2**32))
def test_a_group_is_whole_and_no_fold_is_empty(sizes: list[int], folds: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    groups = random.permutation(np.repeat(np.arange(len(sizes)), sizes))
    found = group_shares(groups, [1 / folds] * folds, seed, random.integers(0, 3, len(groups)))
    assert {*found} == set(range(folds))
    assert all(len({*found[groups == group]}) == 1 for group in range(len(sizes)))


def test_groups_of_one_class_each_are_dealt_out_class_by_class() -> None:
    groups = np.repeat(np.arange(12), 4)
    labels = (groups % 2).astype(np.int64)
    found = group_shares(groups, [1 / 3] * 3, 0, labels)
    assert [np.bincount(labels[found == fold]).tolist() for fold in range(3)] == [[8, 8]] * 3


def test_shares_may_be_of_unequal_size() -> None:
    found = group_shares([f"patient {number // 5}" for number in range(500)], [0.8, 0.2], 0)
    assert np.bincount(found).tolist() == [400, 100]


def test_too_few_groups_are_told() -> None:
    with pytest.raises(DataError, match="there are 2 groups for 3 parts: one would hold none\n  add samples"):
        group_shares(["a", "a", "b", "b"], [1 / 3] * 3, 0)
