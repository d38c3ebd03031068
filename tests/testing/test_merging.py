"""The contract of accumulators: parts make the whole, and one that forgets is seen."""

from __future__ import annotations

import numpy as np
import pytest

from modelyard.metrics import Quantity
from modelyard.task import Answers, Score, Scores, Task
from modelyard.tensors import OutputFacts
from modelyard.testing.merging import check_merges

ERROR = Quantity(name="error", better="lower")
OUTPUT = OutputFacts(name="prediction", shape=(1,))
RANDOM = np.random.default_rng(0)
ANSWERS = Answers(RANDOM.random((23, 1)), RANDOM.random((23, 1)), OUTPUT, RANDOM.random((23, 1)))


class Found:
    """The mean distance to the labels, and whether the first sample is near the baseline."""

    merges, order, sums = True, True, True

    def __init__(self) -> None:
        self.errors = np.empty(0)

    def update(self, block: Answers) -> None:
        assert block.labels is not None
        errors = np.abs(block.own - block.labels).ravel()
        self.errors = np.concatenate([self.errors, errors]) if self.sums else errors

    def merge(self, later: Found) -> None:
        parts = [self.errors, later.errors] if self.order else [later.errors, self.errors]
        self.errors = np.concatenate(parts) if self.merges else self.errors

    def result(self) -> Scores:
        return Scores([Score(ERROR.of(float(self.errors.mean())), self.errors)], {"samples": len(self.errors)})


def task_of(kind: type[Found]) -> Task:
    class Near(Task):
        def accumulator(self, output: OutputFacts) -> Found:
            return kind()

    return Near()


def test_parts_make_the_whole_of_an_accumulator_that_keeps_what_it_needs() -> None:
    check_merges("near", task_of(Found), ANSWERS)
    found = task_of(Found).measure(ANSWERS)
    assert found.details == {"samples": 23}
    check_merges("near", task_of(Found), Answers(ANSWERS.own[:2], ANSWERS.labels[:2], OUTPUT))  # type: ignore[index]


def test_a_task_without_an_accumulator_is_let_be() -> None:
    check_merges("none", Task(), ANSWERS)


@pytest.mark.parametrize(
    ("forgets", "said"),
    [
        ("sums", "in blocks of 1 sample"),
        ("merges", r"in blocks of 5 sample\(s\), in parts that are cut at \(11,\) and merged measure otherwise"),
        ("order", r"cut at \(11,\)"),
    ],
)
def test_one_that_forgets_is_seen(forgets: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_merges("near", task_of(type("Forgetful", (Found,), {forgets: False})), ANSWERS)
