from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard import DataError
from modelyard_plugins.support.data.splitting import fold_split, stratified_split


@given(
    st.lists(st.integers(2, 30), min_size=1, max_size=6),
    st.floats(0.01, 0.99),
    st.integers(0, 2**32),
)
def test_every_class_is_in_both_parts_in_proportion(counts: Any, fraction: Any, seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    keep, apart = stratified_split(labels, fraction, seed)
    assert sorted([*keep, *apart]) == list(range(len(labels)))
    kept, away = np.bincount(labels[keep]), np.bincount(labels[apart])
    assert (kept >= 1).all()
    assert (away >= 1).all()
    assert (np.abs(away - np.array(counts) * fraction) <= 1).all()


def test_a_class_of_one_cannot_be_split() -> None:
    with pytest.raises(DataError, match="label 1 has a single sample"):
        stratified_split(np.array([0, 0, 1]), 0.5, 0)


@given(st.lists(st.integers(5, 30), min_size=1, max_size=6), st.integers(2, 5), st.integers(0, 2**32))
def test_each_sample_is_in_one_fold_and_each_class_in_all(counts: list[int], folds: int, seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    parts = [fold_split(len(labels), folds, fold, seed, labels) for fold in range(folds)]
    assert sorted(np.concatenate([apart for _, apart in parts])) == list(range(len(labels)))
    for keep, apart in parts:
        assert sorted([*keep, *apart]) == list(range(len(labels)))
        assert (np.abs(np.bincount(labels[apart], minlength=len(counts)) - np.array(counts) / folds) < 1).all()
        assert abs(len(apart) - len(labels) / folds) < 1


def test_samples_without_classes_fall_into_folds_by_the_seed() -> None:
    first, other = (fold_split(10, 3, 0, seed)[1].tolist() for seed in (0, 1))
    assert len(first) == len(other) == 4
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
        fold_split(2 if labels is None else 5, 3, 0, 0, labels)
