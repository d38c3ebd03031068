"""Further test sets: checked as the test split is, and written beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.stages.conftest import Told, splits
from tests.tasks import write_dataset

from modelyard.artifacts import Dataset
from modelyard.errors import DataError

X, Y = np.full((4, 4, 4, 3), 7, np.uint8), np.array([0, 1, 2, 1])


def written(sets: Any, out: Path, **changes: Any) -> tuple[Dataset, dict[str, Any], Told]:
    told = Told()
    figures = write_dataset(splits(test_sets=sets, **changes), out, progress=told)
    return Dataset.open(out), figures, told


def test_a_set_is_written_beside_the_test_split_which_stays_as_it_is(tmp_path: Path) -> None:
    dataset, figures, told = written({"night": (X, Y)}, tmp_path)
    assert np.array_equal(dataset.x("night"), X)
    assert dataset.y("night").tolist() == Y.tolist()
    assert dataset.facts.test_sets["night"].per_class == (1, 2, 1)
    assert (figures["test"], figures["night"]) == (12, 4)
    assert len(dataset.y("test")) == 12
    assert told.calls[-1] == (46, 46)


def test_a_data_set_without_any_says_nothing_of_them(tmp_path: Path) -> None:
    written({}, tmp_path)
    assert "test_sets" not in (tmp_path / "dataset.json").read_text()


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ([X], r"test_sets: is a list\n  give a dict"),
        ({"test": (X, Y)}, r"test_sets: 'test' is not allowed as a name\n  allowed: a lower-case"),
        ({"at night": (X, Y)}, r"test_sets: 'at night' is not allowed"),
        ({"night": X}, r"test_sets\['night'\]: is a ndarray\n  give samples and labels"),
        ({"night": (X, Y[:3])}, r"test_sets\['night'\]: test_y: has the shape \(3,\) beside 4 samples"),
        ({"night": (X, None)}, r"test_sets\['night'\]: train_y: there are labels for one split alone"),
        ({"night": (X[:, :2], Y)}, r"test_sets\['night'\]: train_x: a sample has the shape"),
        ({"night": (X, Y + 7)}, r"test_sets\['night'\]: test_y: "),
        ({"night": (X.astype(np.int64), Y)}, r"test_sets\['night'\]: test_x: samples are int64, but those of the training split uint8"),
        ({"night": (X.astype(np.float32), Y)}, r"test_sets\['night'\]: train_x is uint8 but test_x is float32"),
    ],
)  # fmt: skip
def test_one_that_is_not_like_the_others_is_refused(sets: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        written(sets, tmp_path)


def test_a_value_out_of_range_is_told_with_its_set(tmp_path: Path) -> None:
    changes = {name: np.zeros((count, 4, 4, 3), np.float32) for name, count in (("train_x", 30), ("test_x", 12))}
    wrong = np.full((4, 4, 4, 3), 2, np.float32)
    with pytest.raises(DataError, match=r"test_sets\['night'\]: test_x: sample 0 holds 2\.0, which is outside"):
        written({"night": (wrong, Y)}, tmp_path, value_range=(0.0, 1.0), **changes)
