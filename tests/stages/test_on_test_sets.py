"""What a task measures on further test sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.stages.conftest import Told, splits
from tests.tasks import MEASURING, write_dataset

from modelyard.artifacts import Dataset
from modelyard.errors import DataError
from modelyard.stages.on_test_sets import on_test_sets
from modelyard.task import Answers


@pytest.fixture
def rare(tmp_path: Path) -> Dataset:
    x = np.zeros((4, 4, 4, 3), np.uint8)
    write_dataset(splits(test_sets={"night": (x, np.array([0, 1, 2, 1]))}), tmp_path, progress=Told())
    return Dataset.open(tmp_path)


def all_first(dataset: Dataset, name: str) -> Answers:
    labels = dataset.y(name)
    return Answers(np.tile(np.array([1, 0, 0], np.float32), (len(labels), 1)), labels, dataset.facts.answer)


def test_a_set_is_measured_by_itself(rare: Dataset) -> None:
    ((name, found),) = on_test_sets(MEASURING, rare.facts, ["night"], lambda name: all_first(rare, name))
    (score,) = found.scores
    assert (name, found.details["confusion"]) == ("night", [[1, 0, 0], [2, 0, 0], [1, 0, 0]])
    metric = score.metric
    assert (metric.name, metric.head, metric.value) == ("night_accuracy", "accuracy on night", 0.25)
    assert metric.per_group == {"a": 1.0, "b": 0.0, "c": 0.0}
    assert metric.interval is not None
    assert (metric.objective, metric.sampled, metric.worse) == (False, True, "less accurate on night")
    assert score.per_sample is not None
    assert score.per_sample.tolist() == [True, False, False, False]


def test_a_set_that_is_not_there_is_told_with_those_that_are(rare: Dataset) -> None:
    with pytest.raises(
        DataError,
        match=r"key 'test_sets': the data set has no test set 'nigth', did you mean 'night'\?\n  it has: night",
    ):
        list(on_test_sets(MEASURING, rare.facts, ["nigth"], lambda name: all_first(rare, name)))
