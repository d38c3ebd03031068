from __future__ import annotations

import contextlib
import sys
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import ConfigError
from modelyard.metrics import Better, Quantity, Unit
from modelyard.metrics.gating import Gate, gates_of

ACCURACY = Quantity(name="accuracy", better="higher", unit="fraction", group="class", sampled=True)
ERROR = Quantity(name="error", better="lower")
SIZE = Quantity(name="size", better="lower", unit="bytes", ratio_gate="max_smallness")
WAIT = Quantity(name="wait", better="lower", unit="ms", steady=False)
RATE = Quantity(name="rate", better="higher", unit="per second", steady=False)


def gate(key: str, *quantities: Quantity) -> Gate:
    return gates_of(quantities or (ACCURACY, ERROR, SIZE, WAIT, RATE))[key]


@pytest.mark.parametrize(
    ("quantity", "keys"),
    [
        (ACCURACY, ["min_accuracy", "min_class_accuracy", "max_accuracy_drop", "max_class_accuracy_drop"]),
        (msgspec.structs.replace(ACCURACY, is_worst=True), ["min_accuracy", "max_accuracy_drop"]),
        (ERROR, ["max_error", "max_error_ratio"]),
        (msgspec.structs.replace(ERROR, group="class"), ["max_error", "max_error_ratio"]),
        (SIZE, ["max_size", "max_smallness"]),
        (WAIT, ["max_wait"]),
        (RATE, ["min_rate"]),
    ],
)
def test_a_quantity_is_bounded_on_its_worse_side_and_compared_where_it_is_steady(
    quantity: Quantity, keys: list[str]
) -> None:
    assert list(gates_of([quantity])) == keys


def test_a_gate_knows_what_it_bounds_and_how() -> None:
    assert gate("max_class_accuracy_drop") == Gate(
        key="max_class_accuracy_drop", of=ACCURACY, unit="fraction", how="drop", by_group=True
    )
    assert gate("min_accuracy") == Gate(key="min_accuracy", of=ACCURACY, unit="fraction")
    assert gate("max_smallness") == Gate(key="max_smallness", of=SIZE, unit="ratio", how="ratio")
    worst = msgspec.structs.replace(ACCURACY, is_worst=True)
    assert gate("min_accuracy", worst).by_group, "its own value is that of the worst group"


@pytest.mark.parametrize(
    ("key", "undecided"),
    [
        ("min_accuracy", True),
        ("max_accuracy_drop", True),
        ("min_class_accuracy", False),
        ("max_size", False),
        ("max_wait", True),
    ],
)
def test_a_bound_may_lie_within_an_interval_where_there_is_one(key: str, undecided: bool) -> None:
    assert gate(key).can_be_undecided is undecided
    sampled = msgspec.structs.replace(ERROR, sampled=True)
    assert gate("max_error", sampled).can_be_undecided
    assert not gate("max_error_ratio", sampled).can_be_undecided


@pytest.mark.parametrize(
    ("key", "field"),
    [
        ("max_size", "max_size_bytes"),
        ("max_wait", "max_wait_ms"),
        ("max_smallness", "max_smallness"),
        ("min_rate",) * 2,
    ],
)
def test_a_number_in_a_unit_is_called_with_it(key: str, field: str) -> None:
    assert gate(key).field == field


@pytest.mark.parametrize(
    ("key", "value", "bound"),
    [
        ("min_accuracy", 1, 1.0),
        ("min_accuracy", 0, 0.0),
        ("max_size", "2 kB", 2000),
        ("max_wait", "0.2 s", 200.0),
        ("max_wait", 3, 3.0),
        ("max_error", -2, -2.0),
        ("max_error", sys.float_info.max, sys.float_info.max),
        ("max_smallness", 1.5, 1.5),
        ("min_rate", 30, 30.0),
    ],
)
def test_a_bound_is_a_number_in_the_unit_of_its_gate(key: str, value: Any, bound: float) -> None:
    assert gate(key).parse(value, "here") == bound
    assert msgspec.convert(value, gate(key).annotation) == value


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("min_accuracy", 1.01, "a fraction from 0 to 1"),
        ("min_accuracy", -0.01, "a fraction from 0 to 1"),
        ("min_accuracy", True, "a fraction from 0 to 1"),
        ("min_accuracy", float("nan"), "a fraction from 0 to 1"),
        ("max_smallness", 0, "a number above 0"),
        ("max_smallness", float("inf"), "a number above 0"),
        ("max_smallness", 10**400, "a number above 0"),
        ("max_error", "3", "a number"),
        ("max_error", False, "a number"),
        ("max_error", 10**400, "a number"),
        ("max_error", float("-inf"), "a number"),
        ("max_size", 10**400, "a number of bytes"),
        ("max_wait", f"{'9' * 400} s", "a number of milliseconds"),
        ("max_wait", None, "a number of milliseconds"),
    ],
    ids=lambda one: str(one)[:20],
)
def test_what_is_no_bound_is_refused_with_what_is_allowed(key: str, value: Any, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        gate(key).parse(value, "here")
    assert str(caught.value).startswith("here: ")
    assert f"\n  allowed: {allowed}" in str(caught.value)


QUANTITIES = st.builds(
    Quantity,
    name=st.just("x"),
    better=st.sampled_from(get_args(Better)),
    unit=st.sampled_from(get_args(Unit)),
    steady=st.booleans(),
)
ANY = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400)


@given(QUANTITIES, ANY)
def test_a_bound_is_a_finite_number_or_refused(quantity: Quantity, value: Any) -> None:
    for one in gates_of([quantity]).values():
        with contextlib.suppress(ConfigError):
            assert abs(one.parse(value, "here")) <= sys.float_info.max


def test_a_bound_may_be_left_out_of_the_configuration() -> None:
    for one in gates_of([ACCURACY, ERROR, SIZE, WAIT, RATE]).values():
        assert msgspec.convert(None, one.annotation) is None
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert("90 %", gate("min_accuracy").annotation)
