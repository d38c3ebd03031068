"""What is measured of several outputs."""

from __future__ import annotations

from pathlib import Path

from tests.tasks import COMPONENT

from modelyard.component import Component, Source
from modelyard.metrics import Quantity
from modelyard.metrics.gating import gates_of
from modelyard.metrics.registered import quantities_of
from modelyard.metrics.several import of_output, task_of

ERROR = Quantity(name="error", better="lower", worse="less exact", ratio_gate="max_error_ratio")


def test_a_quantity_is_called_as_its_output_and_has_its_gates() -> None:
    found = of_output(ERROR, "place")
    assert (found.name, found.head, found.worse) == ("place_error", "place error", "less exact in place")
    assert [*gates_of([found])] == ["max_place_error", "max_place_error_ratio"]


def test_the_tasks_together_measure_what_each_does_and_have_no_loss() -> None:
    other = Component("task", "near", COMPONENT.function, Source("tests", "project", Path(__file__)), metrics=(ERROR,))
    task = task_of({"kind": COMPONENT, "place": other})
    assert (task.name, task.loss) == ("kind+place", "")
    assert [one.name for one in quantities_of(task)] == ["kind_accuracy", "place_error"]
