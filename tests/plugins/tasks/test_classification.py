from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.tasks import score

from modelyard import DataError
from modelyard.artifacts import Splits
from modelyard.errors import PluginError
from modelyard_plugins.tasks.classification import Classification

Y, TEST_Y = np.arange(30) % 3, np.arange(12) % 3


def splits(**changes: object) -> Splits:
    x = np.zeros((30, 2), np.uint8)
    known = {"train_x": x, "train_y": Y, "test_x": x[:12], "test_y": TEST_Y, "class_names": ("a", "b", "c")}
    return Splits(**{**known, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_y": np.zeros((30, 1), int)}, r"train_y: has the shape \(30, 1\)\n  it needs \(30,\)"),
        ({"train_y": None}, r"train_y: there is none\n  a class for each sample"),
        ({"train_y": np.arange(30) % 3.0}, r"train_y: labels are float64"),
        ({"train_y": np.arange(30) % 3 + 1}, r"train_y: labels from 1 to 3, but there are 3 class names"),
        ({"test_y": np.arange(12) % 3 - 1}, r"test_y: labels from -1 to 1"),
        ({"class_names": ("a", "b", "a")}, r"class_names: 'a' is there twice"),
        ({"class_names": ("a", " ", "c")}, r"class_names: ' ' is not a name"),
        ({"class_names": ("a", 1, "c")}, r"class_names: 1 is not a name"),
        ({"class_names": ("a",)}, r"class_names: 1 class\(es\)"),
    ],
)
def test_labels_that_are_no_classes_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Classification().check(splits(**changes))


def test_labels_that_are_values_are_told_of_other_tasks() -> None:
    with pytest.raises(DataError, match=r"\[tool\.modelyard\.task\]: regression"):
        Classification().check(splits(train_y=np.linspace(0, 1, 30)))


def test_a_named_class_may_have_no_sample() -> None:
    assert Classification().check(splits(train_y=np.arange(30) % 2 * 2)).labels == ("a", "b", "c")  # trainers want one


def test_a_class_without_a_test_sample_is_fine() -> None:
    answer = Classification().check(splits(test_y=np.zeros(12, int)))
    assert (answer.name, answer.shape, answer.activation) == ("probabilities", (3,), "softmax")
    assert answer.labels == ("a", "b", "c")


def test_samples_are_counted_by_class() -> None:
    answer = Classification().check(splits())
    assert Classification().counts(np.array([0, 2, 2], np.uint8), answer) == (1, 0, 2)


def test_score_counts_by_class_and_leaves_out_what_is_not_there() -> None:
    probabilities = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.6, 0.4, 0], [0, 1, 0]], np.float32)
    evaluation = score(probabilities, np.array([0, 1, 1, 0]), "abc", size_bytes=1, gzip_bytes=2, layer_bytes=3)
    assert evaluation.metric("accuracy").value == evaluation.details["accuracy"] == 0.5
    assert evaluation.details["per_class"] == [0.5, 0.5, None]
    assert evaluation.details["confusion"] == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_what_is_no_distribution_is_refused() -> None:
    with pytest.raises(PluginError, match=r"test sample 9 is no distribution: \[0.5, 0.75\]"):
        Classification().check_answers(np.array([[0.5, 0.5], [0.5, 0.75]], np.float32), 8)


@pytest.mark.parametrize("levels", [256, 255])
def test_what_a_quantized_model_rounds_is_a_distribution(levels: int) -> None:
    random = np.random.default_rng(0)
    exact = random.dirichlet(np.full(40, 0.1), 200).astype(np.float32)
    rounded = np.rint(exact * levels) / np.float32(levels)
    assert abs(rounded.sum(axis=1) - 1).max() > 0.01
    Classification().check_answers(rounded, 0)
    with pytest.raises(PluginError, match="test sample 0 is no distribution"):
        Classification().check_answers(exact * np.float32(1.01), 0)


def test_two_models_agree_where_they_say_the_same_class() -> None:
    own, other = np.array([[0.4, 0.6], [0.9, 0.1]], np.float32), np.array([[0.6, 0.4], [0.8, 0.2]], np.float32)
    differ, worst = Classification().agreement(own, other)
    assert (differ, worst) == (1, pytest.approx(0.2))
