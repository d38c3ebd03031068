"""How far numbers are from their mean, in parts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard_plugins.support.spread import Spread


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(0, 2**32), st.booleans())
def test_the_variance_is_that_of_all_samples(sizes: list[int], seed: int, apart: bool) -> None:
    random, whole = np.random.default_rng(seed), Spread()
    blocks = [random.normal(100, 3, (size, 2, 3)) for size in sizes]
    for block in blocks:
        one = Spread() if apart else whole
        one.add(block)
        if apart:
            whole.merge(one)
    whole.merge(Spread())
    assert whole.variance == pytest.approx(np.concatenate(blocks).var(axis=0))
