from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.variants.pareto import dominates, dominators, is_slower
from modelyard.variants.row import Row
from modelyard.variants.selection import front_of, with_front


def row(variant: str = "a", **changes: Any) -> Row:
    usual = {"accuracy": 0.9, "size_bytes": 100, "gzip_bytes": 50, "layer_bytes": 60, "p50_ms": 1.0, "p99_ms": 2.0}
    return Row(variant=variant, **{**usual, **changes})


def timed(low: float, value: float, high: float) -> dict[str, float]:
    return {"ratio_low": low, "ratio": value, "ratio_high": high}


def tail(low: float, value: float, high: float) -> dict[str, float]:
    return {"p99_low_ms": low, "p99_ms": value, "p99_high_ms": high}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({}, {}, False),
        ({"accuracy": 0.91}, {}, True),
        ({"gzip_bytes": 49}, {}, True),
        ({"accuracy": 0.91, "gzip_bytes": 51}, {}, False),
        ({"layer_bytes": 59}, {}, True),
        ({"gzip_bytes": 49, "layer_bytes": 61}, {}, False),
        ({"size_bytes": 99, **timed(0.9, 1.0, 1.2)}, timed(0.8, 0.9, 0.95), True),
        ({"size_bytes": 99, **timed(0.96, 1.0, 1.2)}, timed(0.8, 0.9, 0.95), False),
        (timed(0.8, 0.9, 0.95), timed(0.96, 1.0, 1.2), True),
        (timed(0.8, 0.9, 0.95), timed(0.94, 1.0, 1.2), False),
        ({**timed(0.8, 0.9, 0.95), "p99_ms": 2.1}, timed(0.96, 1.0, 1.2), False),
        ({**timed(0.9, 1.0, 1.2), **tail(1.0, 1.5, 1.9)}, {**timed(0.9, 1.0, 1.2), **tail(2.0, 2.5, 3.0)}, True),
        ({**timed(0.9, 1.1, 1.2), **tail(1.0, 1.5, 1.9)}, {**timed(0.9, 1.0, 1.2), **tail(2.0, 2.5, 3.0)}, False),
        ({"size_bytes": 99, "p99_low_ms": 3.0, "p99_high_ms": 4.0}, {"p99_low_ms": 1.0, "p99_high_ms": 2.9}, False),
        ({"size_bytes": 99, "p99_low_ms": 3.0, "p99_high_ms": None}, {"p99_low_ms": 1.0, "p99_high_ms": None}, True),
    ],
)
def test_one_dominates_if_it_is_no_worse_anywhere_noise_aside_and_better_somewhere(one, other, expected):
    assert dominates(row(**one), row(**other)) is expected


ROWS = st.lists(
    st.tuples(
        st.integers(0, 1), st.integers(0, 1), *(st.lists(st.integers(1, 6), min_size=3, max_size=3) for _ in range(2))
    ),
    min_size=1,
    max_size=8,
).map(
    lambda many: [
        row(
            f"v{n}",
            accuracy=accuracy,
            gzip_bytes=size,
            layer_bytes=size,
            **dict(zip(("ratio_low", "ratio", "ratio_high"), sorted(p50), strict=True)),
            **dict(zip(("p99_low_ms", "p99_ms", "p99_high_ms"), sorted(p99), strict=True)),
        )
        for n, (accuracy, size, p50, p99) in enumerate(many)
    ]
)


@given(ROWS)
def test_rows_never_dominate_each_other_in_a_circle_so_there_is_a_front(rows):
    left = dict(dominators(rows))
    while left:
        free = [name for name, by in left.items() if not set(by) & left.keys()]
        assert free, left
        for name in free:
            del left[name]
    assert front_of(with_front(rows))


@given(ROWS)
def test_what_is_most_accurate_and_smallest_and_fastest_is_on_the_front(rows):
    best = row(
        "best",
        accuracy=2,
        gzip_bytes=-1,
        layer_bytes=-1,
        **timed(0.1, 0.1, 0.1),
        p99_ms=0.1,
        p99_low_ms=0.1,
        p99_high_ms=0.1,
    )
    assert front_of(with_front([*rows, best])) == ("best",)


def test_a_row_that_is_there_for_comparison_neither_dominates_nor_is_on_the_front():
    rows = with_front([row("a"), row("tuned", accuracy=0.99, control=True), row("b", gzip_bytes=60)])
    assert [one.dominated_by for one in rows] == [(), (), ("a",)]
    assert front_of(rows) == ("a",)


def test_slower_is_what_lies_above_beyond_doubt():
    assert is_slower(row(**timed(1.1, 1.2, 1.3)), row())
    assert not is_slower(row(**timed(1.0, 1.2, 1.3)), row())
    assert not is_slower(row(ratio_low=None, ratio=9.0, ratio_high=None), row())
