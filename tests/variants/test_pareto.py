from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.tasks import QUANTITIES

from modelyard.metrics import Metric
from modelyard.metrics.standard import LATENCY_RATIO
from modelyard.variants.pareto import dominates, dominators
from modelyard.variants.row import Row
from modelyard.variants.selection import front_of, with_front


def row(variant: str = "a", **changes: Any) -> Row:
    """Return a row; a latency is given by its ends and its value."""
    usual = {"accuracy": 0.9, "size": 100, "gzip_size": 50, "layer_size": 60, "latency_p99": (None, 2.0, None)}
    usual |= {"latency_p50": 1.0, "latency_ratio": (1.0, 1.0, 1.0)}
    found = []
    for one in QUANTITIES:
        value = {**usual, **changes}[one.name]
        low, middle, high = value if isinstance(value, tuple) else (None, value, None)
        found.append(one.of(middle, (low, high) if isinstance(value, tuple) else None))
    return Row(variant=variant, metrics=tuple(found))


def timed(low: float | None, value: float, high: float | None) -> dict[str, Any]:
    return {"latency_ratio": (low, value, high)}


def tail(low: float | None, value: float, high: float | None) -> dict[str, Any]:
    return {"latency_p99": (low, value, high)}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({}, {}, False),
        ({"accuracy": 0.91}, {}, True),
        ({"gzip_size": 49}, {}, True),
        ({"accuracy": 0.91, "gzip_size": 51}, {}, False),
        ({"layer_size": 59}, {}, True),
        ({"gzip_size": 49, "layer_size": 61}, {}, False),
        ({"size": 99, **timed(0.9, 1.0, 1.2)}, timed(0.8, 0.9, 0.95), True),
        ({"size": 99, **timed(0.96, 1.0, 1.2)}, timed(0.8, 0.9, 0.95), False),
        (timed(0.8, 0.9, 0.95), timed(0.96, 1.0, 1.2), True),
        (timed(0.8, 0.9, 0.95), timed(0.94, 1.0, 1.2), False),
        ({**timed(0.8, 0.9, 0.95), **tail(None, 2.1, None)}, timed(0.96, 1.0, 1.2), False),
        ({**timed(0.9, 1.0, 1.2), **tail(1.0, 1.5, 1.9)}, {**timed(0.9, 1.0, 1.2), **tail(2.0, 2.5, 3.0)}, True),
        ({**timed(0.9, 1.1, 1.2), **tail(1.0, 1.5, 1.9)}, {**timed(0.9, 1.0, 1.2), **tail(2.0, 2.5, 3.0)}, False),
        ({"size": 99, **tail(3.0, 3.5, 4.0)}, tail(1.0, 2.0, 2.9), False),
        ({"size": 99, **tail(3.0, 3.5, None)}, tail(1.0, 2.0, None), True),
    ],
)
def test_one_dominates_if_it_is_no_worse_anywhere_noise_aside_and_better_somewhere(
    one: Any, other: Any, expected: bool
) -> None:
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
            gzip_size=size,
            layer_size=size,
            latency_ratio=tuple(sorted(p50)),
            latency_p99=tuple(sorted(p99)),
        )
        for n, (accuracy, size, p50, p99) in enumerate(many)
    ]
)


@given(ROWS)
def test_rows_never_dominate_each_other_in_a_circle_so_there_is_a_front(rows: list[Row]) -> None:
    left = dict(dominators(rows))
    while left:
        free = [name for name, by in left.items() if not set(by) & left.keys()]
        assert free, left
        for name in free:
            del left[name]
    assert front_of(with_front(rows))


@given(ROWS)
def test_what_is_most_accurate_and_smallest_and_fastest_is_on_the_front(rows: list[Row]) -> None:
    best = row(
        "best",
        accuracy=2,
        gzip_size=-1,
        layer_size=-1,
        **timed(0.1, 0.1, 0.1),
        **tail(0.1, 0.1, 0.1),
    )
    assert front_of(with_front([*rows, best])) == ("best",)


def test_worse_is_what_lies_beyond_it_without_doubt() -> None:
    def ratio(low: float | None, value: float, high: float | None) -> Metric:
        return LATENCY_RATIO.of(value, (low, high))

    assert ratio(1.1, 1.2, 1.3).is_worse(ratio(1.0, 1.0, 1.0))
    assert not ratio(1.0, 1.2, 1.3).is_worse(ratio(1.0, 1.0, 1.0))
    assert not ratio(None, 9.0, None).is_worse(ratio(1.0, 1.0, 1.0))
    faster = replace(ratio(1.1, 1.2, 1.3), better="higher")
    slower = replace(ratio(0.8, 0.9, 1.0), better="higher")
    assert slower.is_worse(faster)
    assert not faster.is_worse(slower)
    assert QUANTITIES[0].of(0.8).is_worse(QUANTITIES[0].of(0.81))
    assert not QUANTITIES[0].of(0.81).is_worse(QUANTITIES[0].of(0.8))
