from __future__ import annotations

from typing import Any

import pytest
from tests.hookspecs.registering import refusal, register, traits_of, untold

from modelyard.hookspecs import ComponentTraits
from modelyard.hookspecs.data import Measures, TaskTraits
from modelyard.metrics import Quantity
from modelyard.metrics.registered import quantities_of

ERROR = {"name": "error", "better": "lower"}


def data(context: object, *, samples: int = 10) -> None:
    """Make data."""


def task(*, classes: int = 2) -> None:
    """Sort."""


def test_a_data_set_has_the_common_traits_alone() -> None:
    assert traits_of("dataset") is ComponentTraits
    found = register("dataset", data)
    assert (found.kind, found.name, found.summary, [*found.parameters]) == ("dataset", "one", "Make data", ["samples"])
    assert "unknown trait 'metrics'" in refusal("dataset", data, metrics=[ERROR])


def test_a_task_says_what_it_measures_and_may_say_what_training_makes_small() -> None:
    assert traits_of("task") is TaskTraits
    assert untold(TaskTraits, Measures) == set()
    accuracy = Quantity(name="accuracy", better="higher", unit="fraction")
    found = register("task", task, metrics=[accuracy, ERROR], loss="cross-entropy")
    assert quantities_of(found) == (accuracy, Quantity(name="error", better="lower"))
    assert found.loss == "cross-entropy"
    assert register("task", task, metrics=(ERROR,)).loss == "", "no built-in trainer trains for it"


@pytest.mark.parametrize(
    ("traits", "said"),
    [
        ({}, "trait 'metrics' is missing\n  a task takes: check, "),
        ({"metrics": []}, "trait 'metrics' is []\n  write a tuple of one or more"),
        ({"metrics": [ERROR, ERROR]}, "write names that differ"),
        ({"metrics": [{"name": "error"}]}, "write a tuple of one or more, "),
        ({"metrics": [ERROR], "loss": "mse"}, "trait 'loss' is 'mse'\n  write 'cross-entropy' or "),
    ],
)
def test_a_task_that_does_not_say_it_is_refused(traits: dict[str, Any], said: str) -> None:
    assert said in refusal("task", task, **traits)


def test_a_task_is_called_with_its_parameters_alone() -> None:
    def with_context(context: object, *, classes: int = 2) -> None: ...

    assert "parameter 'context' is positional" in refusal("task", with_context, metrics=[ERROR])
