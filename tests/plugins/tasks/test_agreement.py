from __future__ import annotations

import numpy as np
import pytest

from modelyard.artifacts import Splits
from modelyard.task import Answers
from modelyard.tensors import ANY_SHAPE, OutputFacts
from modelyard_plugins.tasks.agreement import Following

OUTPUT = OutputFacts(name="output", shape=(4, 3))
BASE = np.random.default_rng(0).normal(size=(20, 4, 3)).astype(np.float32)


def measured(own: np.ndarray) -> dict[str, float]:
    return {one.metric.name: one.metric.value for one in Following().measure(Answers(own, None, OUTPUT, BASE)).scores}


def test_the_model_says_what_it_answers() -> None:
    x = np.zeros((2, 2), np.float32)
    assert Following().check(Splits(x, None, x, None)).shape == ANY_SHAPE


def test_the_distance_is_a_part_of_the_length() -> None:
    assert measured(BASE) == {"relative_error": 0, "same_largest": 1}
    assert measured(BASE * np.float32(1.25)) == {"relative_error": pytest.approx(0.25), "same_largest": 1}
    assert measured(-BASE) == {"relative_error": pytest.approx(2), "same_largest": 0}


def test_an_answer_of_nothing_but_zeros_is_followed_exactly_or_not_at_all() -> None:
    zeros = np.zeros_like(BASE)
    found = Following().measure(Answers(zeros, None, OUTPUT, zeros)).scores
    assert found[0].metric.value == 0


def test_texts_are_the_same_or_not() -> None:
    own = np.array([[b"a", b"b"], [b"a", b"bb"], [b"x", b"y"]])
    base = np.array([[b"a", b"b"], [b"a", b"b"], [b"a", b"b"]])
    found = Following().measure(Answers(own, None, OUTPUT, base)).scores
    assert {one.metric.name: one.metric.value for one in found} == {
        "relative_error": 0.5,
        "same_largest": pytest.approx(1 / 3),
    }
    Following().check_answers(own, 0)
    assert Following().agreement(own.astype(object), base) == (2, 0.0)
    assert Following().agreement(BASE + 1, BASE).worst == pytest.approx(1)
