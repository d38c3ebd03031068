from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.stages.split_files import Moments


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 2**32), st.floats(0, 1e4))
def test_mean_and_deviation_do_not_hang_on_the_blocks(sizes, seed, offset):
    blocks = [np.random.default_rng((seed, i)).normal(offset, 3, (n, 2, 4)) for i, n in enumerate(sizes)]
    moments = Moments(4)
    for block in blocks:
        moments.add(block)
    everything = np.concatenate(blocks).reshape(-1, 4)
    assert moments.mean == pytest.approx(everything.mean(axis=0))
    assert moments.std == pytest.approx(everything.std(axis=0), rel=1e-6, abs=1e-6)
