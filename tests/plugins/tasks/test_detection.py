"""Boxes and what is in them: labels, answers, agreement, and figures over blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelyard.artifacts import Splits
from modelyard.errors import DataError, PluginError
from modelyard.task import Answers
from modelyard.tensors import OutputFacts
from modelyard_plugins.tasks.detection import Detection

pytest.importorskip("pycocotools")
NAMES = ("car", "tree")
OUTPUT = OutputFacts(name="detections", shape=("detections", 6), labels=NAMES)
X = np.zeros((2, 8, 8, 1), np.uint8)
Y = np.array([[[0, 0, 4, 4, 0], [2, 2, 6, 6, 1]], [[1, 1, 3, 3, 1], [0, 0, 0, 0, -1]]], np.float32)
Array = np.ndarray[Any, Any]


def splits(y: Array | None, names: tuple[str, ...] = NAMES) -> Splits:
    return Splits(X, y, X, y, names)


def answered(y: Array, score: float = 0.5) -> Array:
    """Return detections that are the labels."""
    scores = np.where(y[..., 4:] >= 0, score, 0)
    return np.concatenate([y[..., :4], scores, y[..., 4:]], axis=-1).astype(np.float32)


def test_a_model_answers_six_numbers_for_each_detection() -> None:
    task = Detection(100)
    assert task.check(splits(Y)) == OUTPUT
    assert task.check(splits(Y, ())).labels == ("0", "1")
    assert task.check(Splits(X, Y, X, Y[:, :1], NAMES)) == OUTPUT
    assert task.check(splits(Y[1:].repeat(2, axis=0) * [1, 1, 1, 1, 0], ("one",))).labels == ("one",)
    assert task.counts(task.stored(Y.astype(np.float64)), OUTPUT) == (1, 2)
    assert task.stored(Y.astype(np.float64)).dtype == np.float32


def changed(row: list[float]) -> Array:
    y = Y.copy()
    y[0, 1] = row
    return y


@pytest.mark.parametrize(
    ("y", "names", "message"),
    [
        (None, NAMES, "train_y: there is none\n  boxes are needed"),
        (Y[..., :4], NAMES, r"train_y: labels are float32, shape \(2, 2, 4\)\n(.|\n)*shape \(samples, boxes, 5\)"),
        (Y.astype(str), NAMES, "train_y: labels are <U"),
        (changed([2, 2, 6, 6, 2]), NAMES, r"box 1 of sample 0, \[2.0, 2.0, 6.0, 6.0, 2.0\], is of no class: there are 2 class names\n(.|\n)*0 to 1"),
        (changed([2, 2, 6, 6, 0.5]), NAMES, "is of no class"),
        (changed([2, 2, 6, 6, -2]), NAMES, "is of no class"),
        (changed([6, 6, 2, 2, 1]), NAMES, "box 1 of sample 0, (.*) has its second corner before its first\n(.|\n)*make two corners"),
        (changed([2, 2, np.nan, 6, 1]), NAMES, "is not finite"),
        (changed([2, 2, 6, 6, np.nan]), (), "class_names: 0 class"),
        (Y, ("a", "a"), "class_names: 'a' is there twice"),
        (changed([2, 2, 6, 6, 2])[:1], (), "train_y: no sample of '1'"),
    ],
)  # fmt: skip
def test_other_labels_are_refused(y: Array | None, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Detection(100).check(splits(y, names))


def test_what_is_found_is_measured_of_each_class() -> None:
    task = Detection(100)
    found = [one.metric for one in task.measure(Answers(answered(Y), Y, OUTPUT)).scores]
    assert [one.name for one in found] == ["map", "map_50", "map_75", "mean_recall"]
    assert [one.value for one in found] == pytest.approx([1, 1, 1, 1])
    missed = answered(Y)
    missed[0, 0] = [0, 0, 0, 0, 0, -1]
    one = task.measure(Answers(missed, Y, OUTPUT)).scores[0].metric
    assert (one.value, one.per_group) == (pytest.approx(0.5), {"car": 0.0, "tree": pytest.approx(1)})
    only = task.measure(Answers(answered(Y[1:]), Y[1:], OUTPUT)).scores[0].metric
    assert (only.value, only.per_group) == (pytest.approx(1), {"car": None, "tree": pytest.approx(1)})
    wide = answered(Y)
    wide[0, 0, 2] = 6  # an overlap of two thirds
    half, three_quarters = (one.metric.per_group["car"] for one in task.measure(Answers(wide, Y, OUTPUT)).scores[1:3])
    assert (half, three_quarters) == (pytest.approx(1), 0)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ((1, 0, 5), 0.5, "test sample 8 has a detection of the class 0.5"),
        ((1, 0, 5), -2, "test sample 8 has a detection of the class -2"),
        ((0, 0, 1), np.nan, "test sample 7 is not finite"),
    ],
)
def test_answers_that_are_none_are_refused(place: tuple[int, int, int], value: float, message: str) -> None:
    answers = answered(Y)
    Detection(100).check_answers(answers, 7)
    answers[place] = value
    with pytest.raises(PluginError, match=message):
        Detection(100).check_answers(answers, 7)


def test_answers_of_another_shape_or_an_unknown_class_are_refused() -> None:
    with pytest.raises(PluginError, match="x1, y1, x2, y2, score, class"):
        Detection(100).check_answers(Y, 0)
    unknown = answered(Y) + np.array([0, 0, 0, 0, 0, 1], np.float32)
    with pytest.raises(PluginError, match="class 2, but there are 2 class names"):
        Detection(100).measure(Answers(unknown, Y, OUTPUT))


def test_two_sets_of_boxes_agree_in_any_order_of_rows() -> None:
    task, own = Detection(100), answered(Y)
    assert task.agreement(own[:, ::-1], own) == (0, 0)
    moved = own.copy()
    moved[0, 1, 0] += 0.25
    assert task.agreement(moved, own).differ == 0
    assert task.agreement(moved, own).worst == pytest.approx(0.125)  # of 2
    other = own.copy()
    other[0, 1, 5] = 0
    assert task.agreement(other, own).differ == 1
    lost = own.copy()
    lost[0, 1, 5] = -1
    assert task.agreement(lost, own).differ == task.agreement(own, lost).differ == 1
    same_score = np.array([[[0, 0, 4, 4, 0.5, 0], [9, 9, 12, 12, 0.5, 0]]], np.float32)
    assert task.agreement(same_score[:, ::-1], same_score) == (0, 0)
