from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.component import Component, Source
from modelyard.metrics import Better, Quantity, Unit
from modelyard.metrics.registered import quantities_of, quantity_of, unlike_quantities

SOURCE = Source("test", "project", Path("test.py"))
ACCURACY = Quantity(name="accuracy", better="higher", unit="fraction", group="class", sampled=True)


def nothing() -> None:
    """Do nothing."""


def task(*metrics: Quantity | Mapping[str, Any]) -> Component:
    return Component("task", "sorting", nothing, SOURCE, metrics=metrics)


def test_a_metric_is_called_as_gates_can_call_it_whatever_its_component_is_called() -> None:
    one = Component("metric", "x", nothing, SOURCE, better="lower", unit="per second", title="rate", steady=False)
    assert quantity_of("calls-per-second", one) == Quantity(
        name="calls_per_second", better="lower", unit="per second", title="rate", steady=False
    )


@given(
    st.builds(
        Quantity,
        name=st.text(),
        better=st.sampled_from(get_args(Better)),
        unit=st.sampled_from(get_args(Unit)),
        title=st.text(),
    )
)
def test_a_dict_of_its_fields_says_the_same_as_a_quantity(quantity: Quantity) -> None:
    fields = msgspec.structs.asdict(quantity)
    assert quantities_of(task(fields)) == quantities_of(task(quantity)) == (quantity,)
    assert unlike_quantities((fields,)) == ""


def test_the_one_that_counts_most_stays_the_first() -> None:
    found = quantities_of(task(ACCURACY, {"name": "error", "better": "lower"}))
    assert [one.name for one in found] == ["accuracy", "error"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ((), "a tuple of one or more"),
        ("accuracy", "a tuple of one or more"),
        ({"name": "error", "better": "lower"}, "a tuple of one or more"),
        (["accuracy"], "a tuple of one or more"),
        ([3], "a tuple of one or more"),
        ([{"name": "error"}], "missing required field `better`"),
        ([{"name": "error", "better": "less"}], "Invalid enum value 'less'"),
        ([{"name": "error", "better": "lower", "unti": "ms"}], "unknown key 'unti'; allowed: name, better, unit, "),
        ([ACCURACY, {"name": "accuracy", "better": "lower"}], "names that differ"),
    ],
)
def test_what_does_not_say_what_is_measured_is_told_what_to_write(value: Any, said: str) -> None:
    assert said in unlike_quantities(value)


def test_one_or_several_that_differ_say_it() -> None:
    assert unlike_quantities([ACCURACY]) == unlike_quantities((ACCURACY, {"name": "e", "better": "lower"})) == ""
