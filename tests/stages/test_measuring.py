"""A task must measure what it is registered with."""

from __future__ import annotations

import numpy as np
import pytest
from tests.tasks import COMPONENT, MEASURING

from modelyard.errors import PluginError
from modelyard.stages.measuring import Measuring
from modelyard.task import Answers, Scores, Task
from modelyard.tensors import OutputFacts

OUTPUT = OutputFacts(name="probabilities", shape=(2,), activation="softmax", labels=("a", "b"))
ANSWERS = Answers(np.eye(2, dtype=np.float32), np.array([0, 0]), OUTPUT)


def test_what_it_measures_is_returned() -> None:
    assert [one.metric.value for one in MEASURING.scores(ANSWERS).scores] == [0.5]


def test_a_task_that_measures_something_else_is_told_with_what_it_is_registered_with() -> None:
    class Silent(Task):
        def measure(self, answers: Answers) -> Scores:
            return Scores([])

    with pytest.raises(PluginError, match=r"measured \[\]\n  it is registered with metrics: \['accuracy'\]"):
        Measuring(Silent(), COMPONENT).scores(ANSWERS)
