from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.metrics.intervals import (
    Pairs,
    drop_interval,
    mcnemar,
    mean_interval,
    quantile_interval,
    wilson_interval,
)


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
def test_the_ends_are_the_ranks_of_the_published_tables(n: int, quantile: float, ranks: tuple[Any, ...]) -> None:
    assert quantile_interval(list(range(n, 0, -1)), quantile) == ranks


@given(st.lists(st.floats(0, 100), min_size=1, max_size=300), st.sampled_from([0.5, 0.9, 0.99]))
def test_an_end_is_one_of_the_values_and_the_lower_is_not_above_the_upper(values: Any, quantile: Any) -> None:
    low, high = quantile_interval(values, quantile)
    assert {low, high} <= {None, *values}
    assert low is None or high is None or low <= high


@pytest.mark.parametrize("n", [60, 400, 5000])
def test_the_true_median_of_a_skewed_distribution_is_inside_as_often_as_it_says(n: int) -> None:
    source = random.Random(7)
    inside = 0
    for _ in range(300):
        low, high = quantile_interval([source.lognormvariate(0, 1.5) for _ in range(n if n < 5000 else 100)], 0.5)
        assert low is not None
        assert high is not None
        inside += low <= 1 <= high
    assert 0.92 <= inside / 300 <= 1
    assert None not in quantile_interval(range(n), 0.5), "logarithms keep many values from overflowing"


@pytest.mark.parametrize(
    ("right", "samples", "ends"),
    [(81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605)), (0, 20, (0.0, 0.1611)), (1, 29, (0.0061, 0.1718))],
)
def test_the_interval_of_a_proportion_is_that_of_the_published_examples(
    right: int, samples: int, ends: tuple[float, float]
) -> None:
    assert wilson_interval(right, samples) == pytest.approx(ends, abs=5e-5)
    low, high = wilson_interval(samples - right, samples)
    assert (1 - high, 1 - low) == pytest.approx(ends, abs=5e-5)


def test_the_interval_of_a_drop_is_that_of_the_published_example() -> None:
    assert drop_interval(Pairs(36, 12, 2, 0)) == pytest.approx((0.0569, 0.3404), abs=5e-5)


@given(st.tuples(*[st.integers(0, 200)] * 4).filter(any).map(lambda four: Pairs(*four)))
def test_the_interval_of_a_drop_holds_it_and_turns_round_with_the_two(pairs: Any) -> None:
    low, high = drop_interval(pairs)
    drop = (pairs.broken - pairs.mended) / sum(pairs)
    assert -1 - 1e-9 <= low <= drop + 1e-9
    assert drop - 1e-9 <= high <= 1 + 1e-9
    turned = drop_interval(pairs._replace(broken=pairs.mended, mended=pairs.broken))
    assert turned == pytest.approx((-high, -low))


def test_the_true_drop_is_inside_as_often_as_it_says() -> None:
    source = random.Random(3)
    inside = 0
    for _ in range(400):
        kinds = source.choices(range(4), (85, 7, 4, 4), k=300)
        low, high = drop_interval(Pairs(*(kinds.count(kind) for kind in range(4))))
        inside += low <= 0.03 <= high
    assert 0.92 <= inside / 400 <= 0.99


@pytest.mark.parametrize(
    ("broken", "mended", "p"), [(1, 7, 0.0391), (7, 1, 0.0391), (12, 2, 0.0074), (5, 5, 0.8770), (0, 0, 1.0)]
)
def test_mcnemars_test_counts_what_was_seen_by_half(broken: int, mended: int, p: float) -> None:
    assert mcnemar(broken, mended) == pytest.approx(p, abs=5e-5)


def test_the_interval_of_a_mean_needs_some_values() -> None:
    assert mean_interval(2.0, 1.0, 29) == (None, None)
    assert mean_interval(2.0, 1.0, 100) == pytest.approx((2 - 0.196, 2 + 0.196), abs=1e-4)
