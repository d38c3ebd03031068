from __future__ import annotations

import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from modelyard.errors import DataError
from modelyard_plugins.support.scored import scored

if TYPE_CHECKING:
    from modelyard.contexts import MetricContext

Array = np.ndarray[Any, Any]


def context(answers: Array, labels: Array) -> MetricContext:
    made: Any = SimpleNamespace(answers=answers, dataset=SimpleNamespace(y=lambda _: labels))
    return made


def test_of_two_classes_the_second_ones_score_counts() -> None:
    answers = np.array([[0.9, 0.1], [0.3, 0.7]], np.float32)
    scores, truth = scored(context(answers, np.array([0, 1])), "m")
    assert scores.tolist() == [[pytest.approx(0.1)], [pytest.approx(0.7)]]
    assert truth.tolist() == [[False], [True]]


def test_each_of_several_classes_is_held_against_the_rest() -> None:
    scores, truth = scored(context(np.eye(3), np.array([2, 1, 0])), "m")
    assert scores.shape == truth.shape == (3, 3)
    assert truth.tolist() == np.eye(3, dtype=bool)[[2, 1, 0]].tolist()


def test_each_pixel_is_a_sample_but_for_those_that_do_not_count() -> None:
    scores, truth = scored(context(np.full((2, 4, 4, 3), 1 / 3), np.full((2, 4, 4), -1) + np.eye(4, dtype=int)), "m")
    assert scores.shape == truth.shape == (8, 3)


@pytest.mark.parametrize("labels", [np.array([0, 1, 1]), np.array([[0], [1], [1]]), np.array([0, 1, 1], np.float32)])
def test_of_one_number_a_sample_a_label_says_whether_it_is_one(labels: Array) -> None:
    scores, truth = scored(context(np.array([[0.5], [3.0], [7.0]]), labels), "m")
    assert scores.tolist() == [[0.5], [3], [7]]
    assert truth.tolist() == [[False], [True], [True]]


def test_quantities_are_refused_with_the_way_out() -> None:
    said = r"the metric 'm' wants classes, or 0 or 1 .* float64, shape (2, 1), beside answers of the shape (2, 1)"
    with pytest.raises(
        DataError, match=re.escape(said).replace(r"\.\*", ".*") + r"\n  leave \[tool.modelyard.metrics.m\] out"
    ):
        scored(context(np.ones((2, 1)), np.array([[1.5], [2.0]])), "m")
