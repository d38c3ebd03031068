from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.shared import Late

from modelyard.artifacts import Splits
from modelyard.contexts import CheckContext
from modelyard.errors import DataError
from modelyard.task import Answers
from modelyard_plugins.tasks.quantiles import Quantiles, problems, quantiles

reference: Any = Late("sklearn.metrics")

X = np.zeros((6, 3), np.float32)
LEVELS = [0.1, 0.5, 0.9]


def of(labels: Any) -> Splits:
    return Splits(X, labels, X, labels)


def test_a_model_answers_a_number_for_each_quantile_and_a_label_is_one() -> None:
    task = Quantiles(LEVELS)
    answer = task.check(of(np.arange(6)))
    assert (answer.name, answer.shape, answer.labels) == ("quantiles", (3,), ("0.1", "0.5", "0.9"))
    stored = task.stored(np.arange(6))
    assert (stored.dtype, stored.shape) == (np.float32, (6, 1))


@pytest.mark.parametrize("shape", [(2,), (1, 1), (4, 3)])
def test_labels_of_several_numbers_have_the_quantiles_along_one_more_axis(shape: tuple[int, ...]) -> None:
    task, labels = Quantiles(LEVELS), np.zeros((6, *shape))
    assert task.check(of(labels)).shape == (*shape, 3)
    assert task.stored(labels).shape == (6, *shape, 1)


def test_labels_of_both_splits_have_one_shape() -> None:
    with pytest.raises(DataError, match="train_y: 2 numbers a sample, but test_y has 3 numbers a sample\n  give both"):
        Quantiles(LEVELS).check(Splits(X, np.zeros((6, 2)), X, np.zeros((6, 3))))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([1, np.nan, 1, 1, 1, 1]), r"train_y: the label of sample 1 is nan"),
        (None, r"train_y: there is none"),
    ],
)
def test_labels_that_are_no_numbers_are_refused(labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Quantiles(LEVELS).check(of(labels))


def test_it_measures_the_loss_how_honest_quantiles_are_and_how_wide() -> None:
    random = np.random.default_rng(0)
    labels = random.normal(size=(4000, 1)).astype(np.float32)
    own = np.tile(np.array([-1.2816, 0, 1.2816], np.float32), (4000, 1))
    task = Quantiles(LEVELS)
    found = {one.metric.name: one for one in task.measure(Answers(own, labels, task.check(of(np.arange(6))))).scores}
    each = [reference.mean_pinball_loss(labels, own[:, n], alpha=level) for n, level in enumerate(LEVELS)]
    assert found["pinball"].metric.value == pytest.approx(np.mean(each))
    assert list(found["pinball"].metric.per_group.values()) == pytest.approx(each)
    assert found["calibration_error"].metric.value < 0.02
    assert found["interval_width"].metric.value == pytest.approx(2 * 1.2816)


def test_a_sample_of_several_numbers_counts_with_their_mean() -> None:
    random = np.random.default_rng(0)
    labels, own = random.normal(size=(50, 4, 1)).astype(np.float32), random.normal(size=(50, 4, 3)).astype(np.float32)
    task = Quantiles(LEVELS)
    answer = task.check(of(np.zeros((6, 4))))
    whole = {one.metric.name: one for one in task.measure(Answers(own, labels, answer)).scores}
    flat = Answers(own.reshape(200, 3), labels.reshape(200, 1), task.check(of(np.arange(6))))
    each = {one.metric.name: one for one in task.measure(flat).scores}
    for name, found in each.items():
        assert whole[name].metric.value == pytest.approx(found.metric.value)
        assert whole[name].metric.per_group == pytest.approx(found.metric.per_group)
    assert [np.asarray(one["pinball"].per_sample).shape for one in (whole, each)] == [(50,), (200,)]


def test_quantiles_that_lie_too_low_are_told() -> None:
    task = Quantiles([0.5])
    own, labels = np.zeros((10, 1), np.float32), np.ones((10, 1), np.float32)
    found = [one.metric for one in task.measure(Answers(own, labels, task.check(of(np.arange(6))))).scores]
    assert [one.value for one in found] == pytest.approx([0.5, 0.5, 0])
    assert found[0].per_group == found[1].per_group == {}


@pytest.mark.parametrize(
    ("levels", "why"),
    [
        ([], "are no quantiles"),
        ([0, 0.5], "are no quantiles"),
        ([0.5, 0.1], "do not rise"),
        ([0.5, 0.5], "do not rise"),
    ],
)
def test_levels_are_between_0_and_1_and_rise(levels: list[float], why: str) -> None:
    context = CheckContext(name="a", version="1", runtime="r")
    (found,) = problems(context, levels=levels)
    assert (found.key, why in found.why) == ("levels", True)
    assert not list(problems(context, levels=LEVELS))
    assert isinstance(quantiles(), Quantiles)
