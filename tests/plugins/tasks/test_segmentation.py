"""A class for each pixel: figures as scikit-learn has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.shared import Late

from modelyard.artifacts import Splits
from modelyard.errors import DataError
from modelyard.task import Answers
from modelyard.tensors import ANY_SHAPE, OutputFacts
from modelyard_plugins.tasks.segmentation import Segmentation

reference: Any = Late("sklearn.metrics")

NAMES = ("ground", "road", "tree")
OUTPUT = OutputFacts(name="probabilities", shape=(2, 3, 3), activation="softmax", labels=NAMES)
X = np.zeros((4, 2, 3, 1), np.float32)
Y = np.arange(24).reshape(4, 2, 3) % 3
Array = np.ndarray[Any, Any]


def splits(y: Array | None, names: tuple[str, ...] = NAMES) -> Splits:
    return Splits(X, y, X, y, names)


def test_a_model_answers_a_probability_for_each_class_at_each_pixel() -> None:
    task = Segmentation(None)
    assert task.check(splits(Y)) == OUTPUT
    assert task.check(splits(Y, ())).labels == ("0", "1", "2")
    assert task.counts(np.where(Y == 2, 0, Y)[:2], OUTPUT) == (2, 2, 0)


def test_pixels_that_do_not_count_are_stored_as_minus_one() -> None:
    y = Y.astype(np.uint8)
    y[:, 0, 0] = 255
    task = Segmentation(255)
    assert task.check(splits(y)) == OUTPUT
    assert (task.stored(y)[:, 0, 0] == -1).all()
    assert (task.stored(y)[:, 1] == y[:, 1]).all()


@pytest.mark.parametrize(
    ("y", "names", "message"),
    [
        (Y[:, 0, 0], NAMES, r"train_y: labels are int64, shape \(4,\)\n  a class of each pixel is needed"),
        (Y.astype(np.float32), NAMES, "train_y: labels are float32"),
        (None, NAMES, "train_y: there is none"),
        (np.where(Y == 2, 255, Y), NAMES, r"sample 0 has a pixel with the label 255, but there are 3 class names\n(.|\n)*ignore = 255"),
        (Y - 1, NAMES, r"sample 0 has a pixel with the label -1, but there are 3"),
        (np.where(Y == 1, 2, Y), (), "train_y: no sample of '1'"),
        (Y, ("a", "a", "b"), "class_names: 'a' is there twice"),
    ],
)  # fmt: skip
def test_other_labels_are_refused(y: Array | None, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Segmentation(None).check(splits(y, names))


def test_masks_of_two_sizes_are_refused() -> None:
    with pytest.raises(DataError, match=r"train_y: a label has the shape \(2, 3\), but in test_y it has \(2, 2\)"):
        Segmentation(None).check(Splits(X, Y, X, Y[:, :, :2], NAMES))


@given(
    hnp.arrays(np.int32, (5, 2, 3), elements=st.integers(-1, 2)),
    hnp.arrays(np.float32, (5, 2, 3, 3), elements=st.floats(0, 1, width=32)),
)
def test_figures_are_those_of_scikit_learn_over_all_pixels_that_count(y: Array, own: Array) -> None:
    found = Segmentation(None).measure(Answers(own, y, OUTPUT))
    iou, accuracy = (one.metric for one in found.scores)
    counted, said = y != -1, own.argmax(axis=-1)
    truth, answer = y[counted], said[counted]
    if len(truth):
        wanted = reference.jaccard_score(truth, answer, average=None, labels=[0, 1, 2], zero_division=0)
        there = [one in truth or one in answer for one in range(3)]
        assert list(iou.per_group.values()) == [
            pytest.approx(float(one)) if is_there else None for one, is_there in zip(wanted, there, strict=True)
        ]
        assert iou.value == pytest.approx(
            np.mean([one for one, is_there in zip(wanted, there, strict=True) if is_there])
        )
    each = [(said[n] == y[n])[counted[n]].mean() if counted[n].any() else 1.0 for n in range(5)]
    assert found.scores[1].per_sample == pytest.approx(each)
    assert accuracy.value == pytest.approx(np.mean(each))
    assert np.sum(found.details["confusion"]) == counted.sum()


def test_samples_are_looked_at_a_few_at_a_time_where_they_are_large() -> None:
    own = np.zeros((3, 3000, 3000, 3), np.float32)
    sizes = [len(part.own) for part in Answers(own, None, OUTPUT).parts(1024)]
    assert sizes == [1, 1, 1]


@given(hnp.arrays(np.float32, (3, 2, 3, 3), elements=st.floats(0, 1, width=32)))
def test_the_numbers_of_the_classes_measure_as_the_probabilities_do(own: Array) -> None:
    task, masks = Segmentation(None), own.argmax(axis=-1).astype(np.int32)
    assert task.given(OUTPUT).shape == ANY_SHAPE
    assert task.measure(Answers(masks, Y[:3], OUTPUT)).details == task.measure(Answers(own, Y[:3], OUTPUT)).details
    task.check_answers(masks, 0)
    assert task.agreement(masks, masks) == (0, 0)
    assert task.agreement(masks, masks + np.array([1, 0, 0]).reshape(3, 1, 1)).differ == 1
