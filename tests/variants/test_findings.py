"""What a gate looks at, by itself; what becomes of it with a bound and a choice is in test_gates.py."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from tests.shared import there
from tests.tasks import QUANTITIES, evaluation

from modelyard.metrics import Interval, Quantity
from modelyard.metrics.gating import gates_of
from modelyard.variants.evaluation import Latency, Measured
from modelyard.variants.findings import Finding, finding

NAMES = ("cat", "dog", "owl")
RATE = Quantity(name="rate", better="higher", unit="per second", steady=False)
LOSS = Quantity(name="loss", better="lower")
GATES = gates_of((*QUANTITIES, RATE, LOSS))


def measured(**known: Any) -> Measured:
    usual: dict[str, Any] = {"accuracy": 0.9, "size": 100, "gzip": 50, "names": NAMES}
    return Measured(evaluation(**usual | known), Latency(p50_ms=1.0, p99_ms=2.0, mean_ms=1.0, samples=9, warmup=1))


def found(gate: str, variant: Measured, baseline: Measured | None = None) -> Finding:
    return there(finding(GATES[gate], variant, baseline or measured()))


def value(value: float, interval: Interval | None, *, from_below: bool) -> Finding:
    return Finding(value=value, interval=interval, from_below=from_below, unit="", subject="it")


ends = st.lists(st.floats(-100, 100), min_size=3, max_size=3).map(sorted)


@given(ends, st.floats(-100, 100), st.booleans(), st.booleans())
def test_a_bound_is_met_missed_or_neither_and_what_is_met_is_met_by_the_value(
    low_value_high: list[float], limit: float, from_below: bool, open_ended: bool
) -> None:
    low, middle, high = low_value_high
    one = value(middle, (None, high) if open_ended else (low, high), from_below=from_below)
    assert not (one.is_met(limit) and one.is_missed(limit))
    assert one.is_within(limit) or not one.is_met(limit)
    assert not (one.is_missed(limit) and one.is_within(limit))


@given(st.floats(-100, 100), st.floats(-100, 100), st.booleans())
def test_what_is_exact_is_always_decided(number: float, limit: float, from_below: bool) -> None:
    one = value(number, None, from_below=from_below)
    assert one.is_met(limit) is one.is_within(limit) is not one.is_missed(limit)


@pytest.mark.parametrize("from_below", [True, False])
def test_a_value_at_its_bound_meets_it(from_below: bool) -> None:
    assert value(0.5, None, from_below=from_below).is_met(0.5)
    assert not value(0.5, (0.5, 0.5), from_below=from_below).is_missed(0.5)


def test_an_end_that_is_not_known_decides_nothing() -> None:
    one = value(5.0, (None, None), from_below=False)
    assert not one.is_met(1000)
    assert not one.is_missed(0)
    assert one.is_within(5.0)


@pytest.mark.parametrize(
    ("limit", "from_below", "text"),
    [
        (0.9, True, "it is below 0.9"),
        (0.5, True, "it may be more or less than 0.5"),
        (0.2, False, "it is more than 0.2"),
        (0.5, False, "it may be more or less than 0.5"),
    ],
)
def test_a_comparison_is_said_in_words(limit: float, from_below: bool, text: str) -> None:
    assert value(0.5, (0.4, 0.6), from_below=from_below).compared(limit) == text


def test_a_value_is_bounded_from_the_side_where_it_is_bad() -> None:
    one = found("min_accuracy", measured(accuracy=0.8))
    assert (one.value, one.from_below, one.interval) == (0.8, True, pytest.approx((0.7112, 0.8666), abs=1e-4))
    assert one.subject == "accuracy 0.8000 (0.7112 to 0.8666)"
    size = found("max_size", measured(size=1200))
    assert (size.value, size.from_below, size.compared(9)) == (1200, False, "1,200 bytes are more than 9")


def test_the_worst_group_is_looked_at_without_an_interval_and_one_without_a_value_is_left_out() -> None:
    one = found("min_class_accuracy", measured(per_class=(0.9, 0.7, None)))
    assert (one.value, one.interval, one.from_below, one.subject) == (0.7, None, True, "accuracy 0.7000 on 'dog'")
    assert finding(GATES["min_class_accuracy"], measured(per_class=(None, None, None)), measured()) is None


def test_the_largest_drop_of_a_group_is_of_those_that_both_have() -> None:
    baseline = measured(per_class=(0.9, None, 0.8))
    one = found("max_class_accuracy_drop", measured(per_class=(0.8, 0.1, 0.75)), baseline)
    assert (one.value, one.subject) == (pytest.approx(0.1), "on 'cat' 0.1000 below the baseline")
    other = measured(names=("fox",), per_class=(0.1,))
    assert finding(GATES["max_class_accuracy_drop"], other, baseline) is None


@pytest.mark.parametrize(("before", "now", "limit"), [(0.95, 0.93, 0.02), (0.3, 0.2, 0.1), (0.9, 0.8, 0.1)])
def test_rounding_is_no_drop(before: float, now: float, limit: float) -> None:
    one = found("max_accuracy_drop", measured(accuracy=now), measured(accuracy=before))
    assert one.is_within(limit)
    assert one.is_met(limit)
    assert not one.is_within(limit - 1e-6)


def test_a_gain_is_a_drop_below_zero() -> None:
    one = found("max_accuracy_drop", measured(accuracy=0.95))
    assert one.value == pytest.approx(-0.05)
    assert one.is_met(0)


@pytest.mark.parametrize(("own", "other", "part"), [(80, 100, 0.8), (0, 100, 0.0), (80, 0, math.inf), (0, 0, 1.0)])
def test_a_part_of_nothing_is_infinite_unless_it_is_nothing_too(own: int, other: int, part: float) -> None:
    one = found("max_size_ratio", measured(size=own), measured(size=other))
    assert (one.value, one.from_below, one.interval) == (part, False, None)
    assert one.is_met(part)
    assert one.compared(min(part, 9) - 1).startswith(f"{own} bytes are {part:.3f} of the baseline's, more than ")


def test_what_an_older_evaluation_did_not_measure_is_not_looked_at() -> None:
    assert finding(GATES["max_loss"], measured(), measured()) is None
    assert finding(GATES["min_rate"], measured(), measured()) is None
    one = measured()
    more = replace(one, evaluation=structs.replace(one.evaluation, metrics=(*one.evaluation.metrics, LOSS.of(0.5))))
    assert finding(GATES["max_loss"], more, one) is None
    assert finding(GATES["max_loss"], one, more) is None
    assert there(finding(GATES["max_loss"], more, more)).value == 0.5
