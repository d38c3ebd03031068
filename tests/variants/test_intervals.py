from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.variants.intervals import quantile_interval


@pytest.mark.parametrize(
    ("n", "quantile", "ranks"),
    [
        (5, 0.5, (None, None)),
        (6, 0.5, (1, 6)),
        (20, 0.5, (6, 15)),
        (40, 0.5, (14, 27)),
        (100, 0.5, (40, 61)),
        (367, 0.99, (359, None)),
        (368, 0.99, (360, 368)),
    ],
)
def test_the_ends_are_the_ranks_of_the_published_tables(n, quantile, ranks):
    assert quantile_interval(list(range(n, 0, -1)), quantile) == ranks


@given(st.lists(st.floats(0, 100), min_size=1, max_size=300), st.sampled_from([0.5, 0.9, 0.99]))
def test_an_end_is_one_of_the_values_and_the_lower_is_not_above_the_upper(values, quantile):
    low, high = quantile_interval(values, quantile)
    assert {low, high} <= {None, *values}
    assert low is None or high is None or low <= high


@pytest.mark.parametrize("n", [60, 400, 5000])
def test_the_true_median_of_a_skewed_distribution_is_inside_as_often_as_it_says(n):
    source = random.Random(7)
    inside = 0
    for _ in range(300):
        low, high = quantile_interval([source.lognormvariate(0, 1.5) for _ in range(n if n < 5000 else 100)], 0.5)
        inside += low <= 1 <= high
    assert 0.92 <= inside / 300 <= 1
    assert None not in quantile_interval(range(n), 0.5), "logarithms keep many values from overflowing"
