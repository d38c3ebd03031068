"""A fold as a data set of its own, whatever form the samples have."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.shared import array, arrays

from modelyard.artifacts import Splits, Streams
from modelyard.errors import DataError
from modelyard.files.ragged import RaggedArray
from modelyard.stages.splits.folds import held_out
from modelyard.stages.splits.streams import splits_of

LABELS = np.arange(12) % 3
NUMBERS = np.arange(12.0, dtype=np.float32)[:, None]


CACHE = Path(tempfile.gettempdir())


def splits(x: Any = NUMBERS, y: Any = LABELS, **more: Any) -> Splits:
    return Splits(x, y, x[:3] if isinstance(x, list) else x, y, **more)


def folds(given: Splits, count: int = 4, loss: Any = "cross-entropy") -> list[Splits]:
    return [held_out(given, {"": loss}, 5, CACHE, folds=count, fold=number) for number in range(count)]


def test_each_training_sample_is_held_out_once_with_its_label() -> None:
    parts = folds(splits(slices={"of": ["a"] * 12}, test_sets={"more": (NUMBERS, LABELS)}))
    assert sorted(np.concatenate([array(one.test_x) for one in parts])[:, 0]) == list(range(12))
    for one in parts:
        held, labels = array(one.test_x)[:, 0], array(one.labels("test")).tolist()
        assert sorted([*array(one.train_x)[:, 0], *held]) == list(range(12))
        assert labels == [int(x) % 3 for x in held]
        assert sorted(labels) == [0, 1, 2]
        assert (one.slices, one.test_sets) == ({}, {})


def test_a_group_is_on_one_side() -> None:
    patients = [f"patient {number // 3}" for number in range(12)]
    for one in folds(splits(groups=patients), 2):
        sides = [{int(x) // 3 for x in array(side)[:, 0]} for side in (one.train_x, one.test_x)]
        assert not sides[0] & sides[1]
        assert len(sides[0]) == len(sides[1]) == 2


def test_texts_pictures_on_disk_and_samples_of_several_lengths_are_taken_by_row(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", NUMBERS)
    ragged = RaggedArray.of(np.arange(24), np.arange(0, 25, 2), 0)
    columns: dict[str, Any] = {
        "text": [f"text {n}" for n in range(12)],
        "disk": np.load(tmp_path / "x.npy", "r"),
        "ragged": ragged,
    }
    np.save(tmp_path / "y.npy", LABELS)
    labels = np.load(tmp_path / "y.npy", "r")
    (one, *_) = folds(Splits(columns, labels, columns, labels))
    held: Any = one.test_x
    rows = [int(row[0]) for row in held["disk"][:]]
    assert held["disk"].shape == (3, 1)
    assert held["disk"][1].tolist() == [rows[1]]
    assert isinstance(held["disk"], np.memmap)
    assert array(one.test_y).tolist() == [row % 3 for row in rows]
    assert [held["text"][at] for at in range(3)] == [f"text {row}" for row in rows]
    assert held["ragged"][:].tolist() == [[2 * row, 2 * row + 1] for row in rows]


def test_what_is_no_class_is_not_spread_by_its_value() -> None:
    parts = folds(splits(y=np.arange(12, dtype=np.float32)), 3, "squared-error")
    assert [len(array(one.labels("test"))) for one in parts] == [4, 4, 4]


def test_of_several_outputs_the_first_with_classes_is_spread() -> None:
    y: dict[str, np.ndarray[Any, Any]] = {"place": np.zeros((12, 2), np.float32), "kind": LABELS}
    given = Splits(NUMBERS, y, NUMBERS, y)
    one = held_out(given, {"place": "squared-error", "kind": "cross-entropy"}, 0, CACHE, folds=4, fold=1)
    assert sorted(arrays(one.test_y)["kind"]) == [0, 1, 2]


def test_streams_say_groups_as_splits_do(tmp_path: Path) -> None:
    pairs = [(np.array([n], np.float32), n % 3) for n in range(6)]
    no_progress: Any = lambda *_, **__: None  # noqa: E731
    found = splits_of(Streams(pairs, pairs, groups=["a", "a", "b"] * 2), tmp_path, no_progress)
    assert list(found.groups) == ["a", "a", "b", "a", "a", "b"]


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        (["a"], "groups: has 1 values for 12 training samples\n  give one for each"),
        ("abcdefghijkl", "groups: is a str\n  give a list, or an array"),
        ([1.5] * 12, r"groups: that of training sample 0 is 1\.5\n  allowed: a text or a whole number"),
    ],
)
def test_groups_are_one_for_each_training_sample(groups: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        folds(splits(groups=groups))
