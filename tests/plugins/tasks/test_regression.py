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
from modelyard.tensors import OutputFacts
from modelyard_plugins.tasks.regression import Regression

reference: Any = Late("sklearn.metrics")

X = np.zeros((6, 3), np.float32)
NUMBERS = st.floats(-1e4, 1e4, width=32)
PAIRS = hnp.array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=6).flatmap(
    lambda shape: st.tuples(*[hnp.arrays(np.float32, (shape[0] + 1, *shape[1:]), elements=NUMBERS)] * 2)
)


def splits(train_y: object, test_y: object, names: tuple[str, ...] = ()) -> Splits:
    return Splits(X, train_y, X, test_y, names)  # type: ignore[arg-type]


def measured(labels: np.ndarray, own: np.ndarray, names: tuple[str, ...] = ()) -> dict[str, float]:
    output = OutputFacts(name="prediction", shape=own.shape[1:], labels=names)
    return {one.metric.name: one.metric.value for one in Regression().measure(Answers(own, labels, output)).scores}


@pytest.mark.parametrize(
    ("y", "names", "shape"),
    [
        (np.arange(6), (), (1,)),
        (np.ones((6, 2)), ("width", "height"), (2,)),
        (np.ones((6, 4, 5, 2)), ("x", "y"), (4, 5, 2)),
    ],
)
def test_a_model_answers_as_many_numbers_as_a_label_has(
    y: np.ndarray, names: tuple[Any, ...], shape: tuple[Any, ...]
) -> None:
    task = Regression()
    answer = task.check(splits(y, y, names))
    assert (answer.name, answer.shape, answer.activation, answer.labels) == ("prediction", shape, "none", names)
    stored = task.stored(y)
    assert (stored.dtype, stored.shape) == (np.float32, (6, *shape))


@pytest.mark.parametrize(
    ("train_y", "test_y", "names", "message"),
    [
        (None, None, (), r"train_y: there is none\n  a regression needs numbers, shape"),
        (np.array(["a"] * 6), np.arange(6), (), r"train_y: labels are <U1, shape \(6,\)"),
        (np.ones((6, 2)), np.ones(6), (), r"train_y: 2 numbers a sample, but test_y has 1"),
        (np.array([1, 2, np.nan, 1, 1, 1]), np.ones(6), (), r"train_y: the label of sample 2 is nan"),
        (np.array([1, 1e39, 1, 1, 1, 1]), np.ones(6), (), r"train_y: the label of sample 1 is 1e\+39, which is no finite float32"),
        (np.ones(6), np.ones(6), ("a", "b"), r"class_names: 2 names for 1 numbers a sample"),
        (np.ones((6, 2)), np.ones((6, 2)), ("a", "a"), r"class_names: 'a' is there twice"),
        (np.ones((6, 4, 5)), np.ones((6, 5, 4)), (), r"train_y: the shape \(4, 5\), but test_y has the shape \(5, 4\)"),
    ],
)  # fmt: skip
def test_labels_that_are_no_numbers_are_refused(
    train_y: np.ndarray | None, test_y: np.ndarray | None, names: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        Regression().check(splits(train_y, test_y, names))


@given(PAIRS)
def test_figures_are_those_of_scikit_learn(pair: Any) -> None:
    labels, own = pair
    found = measured(labels, own)
    wide_labels, wide = labels.astype(np.float64), own.astype(np.float64)
    wide_labels, wide = (one.reshape(len(one), -1) for one in (wide_labels, wide))
    assert found["mae"] == pytest.approx(reference.mean_absolute_error(wide_labels, wide))
    assert found["rmse"] == pytest.approx(reference.mean_squared_error(wide_labels, wide) ** 0.5)
    if labels[0].size == 1 and labels.std() > 1e-3:
        assert found["r2"] == pytest.approx(reference.r2_score(wide_labels, wide), rel=1e-6, abs=1e-9)


@given(PAIRS, st.data())
def test_what_is_found_in_parts_is_what_is_found_of_the_whole(
    pair: tuple[np.ndarray, np.ndarray], data: st.DataObject
) -> None:
    labels, own = pair
    cut = data.draw(st.integers(0, len(own)))
    output = OutputFacts(name="prediction", shape=own.shape[1:])
    first, later = Regression().accumulator(output), Regression().accumulator(output)
    for accumulator, part in ((first, slice(0, cut)), (later, slice(cut, None))):
        if len(own[part]):
            accumulator.update(Answers(own[part], labels[part], output))
    first.merge(later)
    found = {one.metric.name: one.metric.value for one in first.result().scores}
    assert found == pytest.approx(measured(labels, own), rel=1e-6, abs=1e-9)


def test_each_quantity_has_its_own_error_and_the_mean_its_interval() -> None:
    labels = np.zeros((40, 2), np.float32)
    own = np.tile(np.array([1, 3], np.float32), (40, 1)) + np.array(np.arange(40) % 2, np.float32)[:, None]
    output = OutputFacts(name="prediction", shape=(2,), labels=("width", "height"))
    score = Regression().measure(Answers(own, labels, output)).scores[0]
    assert score.metric.per_group == {"width": 1.5, "height": 3.5}
    low, high = score.metric.low, score.metric.high
    assert low is not None
    assert high is not None
    assert low < score.metric.value == 2.5 < high
    assert score.per_sample is not None
    assert score.per_sample.shape == (40,)


def test_labels_that_never_change_explain_nothing() -> None:
    same = np.ones((5, 1), np.float32)
    assert measured(same, same)["r2"] == 1
    assert measured(same, same + 1)["r2"] == 0


def test_large_numbers_are_compared_relative_to_their_size() -> None:
    own = np.array([[1000.0], [0.5]], np.float32)
    assert Regression().agreement(own * np.float32(1 + 1e-5), own) == (0, pytest.approx(1e-5, rel=0.1))
