"""What a task measures of each value of a column of the test split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.stages.conftest import Told, splits
from tests.tasks import MEASURING, write_dataset

from modelyard.artifacts import Dataset
from modelyard.errors import DataError
from modelyard.stages.by_slice import by_slice
from modelyard.task import Answers


@pytest.fixture
def lit(tmp_path: Path) -> Dataset:
    """12 test samples, of which each third is at night."""
    light = ["night" if number % 3 == 0 else "day" for number in range(12)]
    write_dataset(splits(slices={"light": light}), tmp_path, progress=Told())
    return Dataset.open(tmp_path)


def answers(dataset: Dataset, said: Any) -> Answers:
    return Answers(np.eye(3, dtype=np.float32)[said], dataset.y("test"), dataset.facts.answer)


def test_each_value_is_measured_by_itself(lit: Dataset, tmp_path: Path) -> None:
    assert lit.facts.slices == {"light": ("day", "night")}
    right = np.asarray(lit.y("test"))
    said = np.where(np.arange(12) % 6 == 0, (right + 1) % 3, right)  # every second one at night is wrong
    (found,) = by_slice(MEASURING, {"test": answers(lit, said)}, lit, ["light"], tmp_path)
    assert (found.name, found.value, found.per_group) == ("light_accuracy", 0.5, {"day": 1.0, "night": 0.5})
    assert not (tmp_path / "slice.npy").exists()


def test_a_column_that_is_not_there_is_told_with_those_that_are(lit: Dataset, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"key 'slices': the data set has no column 'ligth', did you mean 'light'\?\n  it has: light"
    ):
        list(by_slice(MEASURING, {"test": answers(lit, np.zeros(12, int))}, lit, ["ligth"], tmp_path))


def test_a_further_test_set_has_columns_of_its_own(tmp_path: Path) -> None:
    rare = splits()
    given = splits(
        test_sets={"rare": (rare.test_x[:4], np.array([0, 1, 2, 0]))},  # type: ignore[index]
        test_set_slices={"rare": {"camera": ["front", "rear", "rear", "rear"]}},
    )
    write_dataset(given, tmp_path, progress=Told())
    dataset = Dataset.open(tmp_path)
    assert dataset.facts.slices_of("rare") == {"camera": ("front", "rear")}
    said = Answers(np.eye(3, dtype=np.float32)[[0, 1, 0, 2]], dataset.y("rare"), dataset.facts.answer)
    (found,) = by_slice(MEASURING, {"rare": said}, dataset, ["rare.camera"], tmp_path)
    assert (found.name, found.per_group) == ("rare_camera_accuracy", {"front": 1.0, "rear": 1 / 3})
    assert found.head == "accuracy by camera on rare"
    with pytest.raises(DataError, match=r"no column 'site' of the test set 'rare'\n  it has: camera"):
        list(by_slice(MEASURING, {"rare": said}, dataset, ["rare.site"], tmp_path))
