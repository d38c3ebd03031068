from __future__ import annotations

from fractions import Fraction
from math import sqrt, ulp
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from modelyard.stages.statistics import Counts, Extent, Moments, statistics


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 2**32), st.floats(0, 1e4))
def test_mean_and_deviation_do_not_hang_on_the_blocks(sizes: Any, seed: int, offset: Any) -> None:
    blocks = [np.random.default_rng((seed, i)).normal(offset, 3, (n, 2, 4)) for i, n in enumerate(sizes)]
    moments = Moments(4)
    for block in blocks:
        moments.add(block)
    everything = np.concatenate(blocks).reshape(-1, 4)
    assert moments.mean == pytest.approx(everything.mean(axis=0))
    assert moments.std == pytest.approx(everything.std(axis=0), rel=1e-6, abs=1e-6)


@given(st.lists(arrays(np.uint8, (3, 2, 2)), min_size=1, max_size=4))
def test_what_is_counted_is_exact(blocks: Any) -> None:
    counts = Counts(2)
    for block in blocks:
        counts.add(block)
    for channel, (mean, std) in enumerate(zip(counts.mean, counts.std, strict=True)):
        values = [int(v) for block in blocks for v in block[..., channel].flat]
        exact = Fraction(sum(values), len(values))
        assert mean == float(exact)
        expected = sqrt(sum((v - exact) ** 2 for v in values) / len(values))
        assert abs(std - expected) <= ulp(expected), "each rounds once"


def test_bytes_are_counted_and_other_types_added_up() -> None:
    assert isinstance(statistics(np.dtype("uint8"), 3), Counts)
    assert isinstance(statistics(np.dtype("float32"), 3), Moments)


@given(st.lists(arrays(np.float32, (3, 2), elements=st.floats(-1e6, 1e6, width=32)), min_size=1, max_size=4))
def test_the_extent_is_that_of_all_blocks(blocks: list[np.ndarray]) -> None:
    extent = Extent()
    for block in blocks:
        extent.add(block)
    low, high = np.min(blocks), np.max(blocks)
    assert extent.ends == ((low, high) if low < high else (0, 1))
