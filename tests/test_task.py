"""What every task inherits: answers a block at a time, and what is no answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from modelyard import task as module
from modelyard.errors import PluginError
from modelyard.metrics import Quantity
from modelyard.task import Answers, Score, Scores, Task
from modelyard.tensors import OutputFacts

OUTPUT = OutputFacts(name="y", shape=(2,))
LARGEST = Quantity(name="largest", better="higher")


class Largest:
    """Finds the largest number, and how many samples it was given at a time."""

    def __init__(self) -> None:
        self.found, self.blocks = -np.inf, list[int]()

    def update(self, block: Answers) -> None:
        self.found = max(self.found, float(block.own.max()))
        self.blocks.append(len(block.own))

    def merge(self, later: Largest) -> None:
        self.found = max(self.found, later.found)

    def result(self) -> Scores:
        return Scores([Score(LARGEST.of(self.found))], {"blocks": self.blocks})


class Own(Task):
    """A task that has an accumulator and nothing else."""

    block = 4

    def accumulator(self, output: OutputFacts) -> Largest:
        assert output is OUTPUT
        return Largest()


def answers(samples: int, *, labels: bool = True, baseline: bool = False) -> Answers:
    own = np.arange(samples * 2, dtype=np.float32).reshape(samples, 2)
    return Answers(own, np.arange(samples) if labels else None, OUTPUT, own + 1 if baseline else None)


@given(st.integers(0, 30), st.integers(1, 40), st.booleans(), st.booleans())
def test_blocks_are_all_samples_in_their_order(samples: int, rows: int, labels: bool, baseline: bool) -> None:
    whole = answers(samples, labels=labels, baseline=baseline)
    parts = list(whole.parts(rows))
    assert all(len(one.own) == rows for one in parts[:-1])
    assert [one.output for one in parts] == [OUTPUT] * len(parts)
    for name in ("own", "labels", "baseline"):
        found, wanted = [getattr(one, name) for one in parts], getattr(whole, name)
        if wanted is None:
            assert found == [None] * len(parts)
        elif parts:
            assert np.array_equal(np.concatenate(found), wanted)


def test_of_large_answers_fewer_are_in_memory_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK_BYTES", 24)  # of three answers of 8 bytes
    assert [len(one.own) for one in answers(8).parts(100)] == [3, 3, 2]
    monkeypatch.setattr(module, "_BLOCK_BYTES", 1)
    assert [len(one.own) for one in answers(2).parts(100)] == [1, 1], "or one that is larger"


def test_a_task_with_an_accumulator_measures_block_by_block() -> None:
    found = Own().measure(answers(10))
    assert (found.scores[0].metric.value, found.details) == (19.0, {"blocks": [4, 4, 2]})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_answer_that_is_no_number_is_told_with_its_place_in_the_split(value: float) -> None:
    block = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    Task().check_answers(block, 100)
    block[1, 1, 0] = value
    with pytest.raises(PluginError) as caught:
        Task().check_answers(block, 100)
    assert str(caught.value) == f"the answer to test sample 101 is not finite: [4.0, 5.0, {value}, 7.0]"


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8, np.bool_])
def test_two_models_that_answer_alike_agree(dtype: type[np.generic]) -> None:
    own = np.array([[0, 1], [1, 0]]).astype(dtype)
    assert Task().agreement(own, own.copy()) == (0, 0.0)
    assert Task().agreement(own[:0], own[:0]) == (0, 0.0)
    assert Task().agreement(own, np.zeros_like(own)) == (0, 1.0), "what is smaller does not wrap around"
    assert Task().agreement(np.zeros_like(own), own) == (0, 1.0)


@pytest.mark.parametrize(
    ("own", "other", "worst"), [([0.25], [0.5], 0.25), ([1002.0], [1000.0], 0.002), ([-1002.0], [-1000.0], 0.002)]
)
def test_numbers_above_one_are_compared_relative_to_their_size(
    own: list[float], other: list[float], worst: float
) -> None:
    assert Task().agreement(np.array(own), np.array(other)).worst == pytest.approx(worst)


def test_what_is_no_number_agrees_with_nothing() -> None:
    assert np.isnan(Task().agreement(np.array([np.nan, 1.0]), np.ones(2)).worst)


def test_what_a_task_need_not_say() -> None:
    labels: NDArray[np.int64] = np.array([1, 0])
    assert Task().stored(labels) is labels
    assert Task().counts(labels, OUTPUT) == ()
    assert Task().given(OUTPUT) is OUTPUT
    assert (Task.looks_at_baseline, Task.follows) == (False, False)


def test_what_a_task_must_say() -> None:
    with pytest.raises(NotImplementedError):
        Task().check(None)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError):
        Task().measure(answers(1))
