from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelyard.artifacts import Splits
from modelyard.errors import DataError
from modelyard.task import Answers
from modelyard.tensors import OutputFacts
from modelyard_plugins.tasks.retrieval import Retrieval

OUTPUT = OutputFacts(name="embedding", shape=(2,))
AROUND = np.array([[np.cos(t), np.sin(t)] for t in (0.0, 0.1, 0.25, 2.0, 2.2, 2.45)], np.float32)


def measured(vectors: Any, labels: Any, neighbours: int = 2) -> dict[str, float]:
    found = Retrieval(neighbours).measure(Answers(vectors, np.array(labels), OUTPUT))
    assert all(one.per_sample is not None and one.per_sample.shape == (len(vectors),) for one in found.scores)
    return {one.metric.name: one.metric.value for one in found.scores}


def test_samples_of_a_label_that_lie_together_find_each_other_whatever_its_number() -> None:
    assert measured(AROUND, [7, 7, 7, -2, -2, -2]) == {"recall_at_1": 1, "recall_at_k": 1, "map_at_r": 1}


def test_it_counts_the_nearest_one_of_the_few_nearest_and_how_high_up_they_are() -> None:
    # nearest by the angle: 0: 1 2, 1: 0 2, 2: 1 0, 3: 4 5, 4: 3 5, 5: 4 3
    found = measured(AROUND, [0, 1, 0, 1, 1, 0])
    assert found["recall_at_1"] == pytest.approx(2 / 6)  # 3 and 4
    assert found["recall_at_k"] == pytest.approx(4 / 6)  # and 0, 2
    assert found["map_at_r"] == pytest.approx((0.25 + 0 + 0.25 + 0.5 + 0.5 + 0) / 6)


def test_few_neighbours_are_all_there_are() -> None:
    assert measured(AROUND[:2], [1, 1], neighbours=10)["recall_at_k"] == 1


def test_vectors_that_point_elsewhere_are_told() -> None:
    turned = AROUND.copy()
    turned[2] *= -1
    assert Retrieval(2).agreement(turned, AROUND).differ == 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "train_y: there is none\n  give a whole number for each sample"),
        (np.ones(4), "train_y: labels are float64"),
        (np.array([1, 1, 2, 3]), "test_y: 1 sample has the label 2, .*\n  give 2 of each, or leave it out \\(2 such"),
    ],
)
def test_labels_must_say_who_is_alike(labels: Any, message: str) -> None:
    x = np.zeros((4, 2), np.float32)
    with pytest.raises(DataError, match=message):
        Retrieval(2).check(Splits(x, labels, x, labels))


def test_a_training_label_may_be_there_once() -> None:
    x = np.zeros((4, 2), np.float32)
    assert Retrieval(2).check(Splits(x, np.arange(4), x, np.array([9, 9, 5, 5]))).shape == ("width",)
    assert Retrieval(2).stored(np.array([1, 2], np.uint8)).dtype == np.int64
