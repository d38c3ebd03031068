from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.hookspecs.registering import refusal, register, traits_of, untold

from modelyard.hookspecs.measuring import Directed, GateTraits, MetricTraits
from modelyard.metrics import Quantity
from modelyard.metrics.registered import quantity_of


def measure(context: object, *, calls: int = 100) -> float:
    """Measure."""
    return 0.0


def judge(context: object, *, most: float = 0.5) -> Iterator[str]:
    """Judge."""
    yield "no"


def test_a_metric_says_which_value_is_the_better_one_and_what_its_values_are() -> None:
    assert traits_of("metric") is MetricTraits
    assert untold(MetricTraits, Directed) == set()
    bare = register("metric", measure, better="higher")
    assert quantity_of("one", bare) == Quantity(name="one", better="higher")
    assert (bare.starts_server, bare.losses) == (False, ()), "it measures any task"
    found = register(
        "metric",
        measure,
        better="lower",
        unit="ms",
        title="wait",
        steady=False,
        starts_server=True,
        losses=["", "squared-error"],
    )
    assert quantity_of("one", found) == Quantity(name="one", better="lower", unit="ms", title="wait", steady=False)
    assert (found.starts_server, found.losses) == (True, ("", "squared-error"))


def test_a_gate_has_the_common_traits_alone() -> None:
    assert traits_of("gate") is GateTraits
    assert [*register("gate", judge, tools=("numpy",)).parameters] == ["most"]
    assert "unknown trait 'better'" in refusal("gate", judge, better="higher")


@pytest.mark.parametrize(
    ("traits", "said"),
    [
        ({}, "trait 'better' is missing"),
        ({"better": "more"}, "trait 'better' is 'more'\n  write 'higher' or 'lower'"),
        ({"better": "lower", "unit": "s"}, "trait 'unit' is 's'\n  write '' or 'fraction' or 'bytes' or 'ms' or "),
        ({"better": "lower", "title": 3}, "trait 'title' is 3\n  write the head of its column"),
        ({"better": "lower", "steady": "no"}, "trait 'steady' is 'no'\n  write True or False"),
        ({"better": "lower", "losses": ("mse",)}, "trait 'losses' is ('mse',)"),
    ],
)
def test_a_metric_that_says_something_else_is_refused(traits: dict[str, Any], said: str) -> None:
    assert said in refusal("metric", measure, **traits)
