from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard import DataError
from modelyard_plugins.support.data.splitting import stratified_split


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
