"""Splits as files: a block at a time, in the type that is kept, and every value looked at on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from modelyard.artifacts import SplitFacts
from modelyard.errors import DataError
from modelyard.files.ragged import RaggedArray
from modelyard.files.ragged_files import open_ragged
from modelyard.stages.several import Several
from modelyard.stages.splits import files
from modelyard.stages.splits.column import Column
from modelyard.stages.splits.files import write_column, write_labels, write_samples
from modelyard.tensors import OutputFacts
from modelyard_plugins.tasks.classification import Classification
from modelyard_plugins.tasks.regression import Regression

SCORES = OutputFacts(name="scores", shape=(3,), activation="softmax", labels=("a", "b", "c"))


def column(x: Any, **changes: Any) -> Column:
    known = {"value_range": None, "is_named": False, "is_scaled": False, **changes}
    return Column("input", x, x, **known)


def write(folder: Path, x: np.ndarray, dtype: str = "float32", value_range: Any = None) -> np.ndarray:
    """Return samples as they are on disk."""
    for _ in write_samples(folder / "x.npy", x, np.dtype(dtype), value_range, "train_x"):
        pass
    found: np.ndarray = np.load(folder / "x.npy")
    return found


@settings(max_examples=30)
@given(arrays.arrays(np.float64, st.tuples(st.integers(1, 9), st.just(3)), elements=st.floats(-10, 10, width=32)))
def test_samples_are_written_a_block_at_a_time_in_the_type_that_is_kept(
    tmp_path_factory: pytest.TempPathFactory, x: np.ndarray
) -> None:
    folder = tmp_path_factory.mktemp("x")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_BLOCK_BYTES", 24)  # of two samples of 12 bytes
        blocks = list(write_samples(folder / "x.npy", x, np.dtype("float32"), None, "train_x"))
    assert {len(block) for block in blocks[:-1]} <= {2}
    found = np.load(folder / "x.npy")
    assert (found.dtype, found.tolist()) == (np.float32, x.tolist())
    assert np.array_equal(np.concatenate(blocks), found)


def test_samples_lie_in_the_order_of_c_whatever_theirs_is(tmp_path: Path) -> None:
    x = np.asfortranarray(np.arange(6).reshape(2, 3))
    assert write(tmp_path, x, "int32").tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("value", "value_range", "what"),
    [
        (np.nan, None, "nan, which is not a finite number"),
        (-np.inf, (0, 1), "-inf, which is not a finite number"),
        (1.5, (0.0, 1.0), "1.5, which is outside the value range 0 to 1"),
        (-0.25, (0.0, 1.0), "-0.25, which is outside the value range 0 to 1"),
    ],
)
def test_a_value_that_is_not_allowed_is_told_with_its_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float, value_range: Any, what: str
) -> None:
    monkeypatch.setattr(files, "_BLOCK_BYTES", 8)
    x = np.zeros((5, 2), np.float32)
    x[3, 1] = value
    with pytest.raises(DataError) as caught:
        write(tmp_path, x, value_range=value_range)
    assert str(caught.value) == f"train_x: sample 3 holds {what}\n  mend the data, or give its true value range"


def test_the_ends_of_the_range_are_in_it_in_the_type_of_the_samples(tmp_path: Path) -> None:
    x = np.array([[0.1], [0.3]], np.float32)  # which is a little more than 0.1 and 0.3
    assert write(tmp_path, x, value_range=(0.1, 0.3)).tolist() == x.tolist()


def test_a_value_too_large_for_the_type_that_is_kept_is_seen_before_it_wraps_around(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="sample 1 holds 257, which is outside the value range 0 to 255"):
        write(tmp_path, np.array([[1], [257]]), "uint8", (0, 255))


RAGGED = RaggedArray.of(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), np.array([0, 3, 4, 6]), 0)


def test_samples_of_several_lengths_have_their_values_in_a_row(tmp_path: Path) -> None:
    wanted = column(RAGGED, axis="length")
    blocks = list(write_column(tmp_path, "train", wanted, np.dtype("float32")))
    assert sum(samples for samples, _ in blocks) == 3
    assert np.concatenate([values for _, values in blocks]).tolist() == [1, 2, 3, 4, 5, 6]
    found = open_ragged(tmp_path, "train_x", 0)
    assert found.lengths.tolist() == [3, 1, 2]
    assert found[1:2].tolist() == [[4]]


def test_a_value_of_a_sample_of_its_own_length_is_told_with_its_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_BLOCK_BYTES", 8)  # of a number
    wanted = column(RAGGED, axis="length", value_range=(0.0, 4.5), is_named=True)
    with pytest.raises(DataError, match=r"^test_x\['input'\]: sample 2 holds 5\.0, which is outside the value range"):
        list(write_column(tmp_path, "other", wanted, np.dtype("float32"), "test"))


def test_a_mask_is_not_written_for_it_follows_from_what_it_masks(tmp_path: Path) -> None:
    wanted = column(np.ones((3, 4), np.float32), axis="length", mask="ids")
    ((samples, ones),) = write_column(tmp_path, "train", wanted, np.dtype("float32"))
    assert (samples, ones.tolist()) == (3, [[1, 1, 1, 1]])
    assert list(tmp_path.iterdir()) == []


def test_a_further_test_set_is_a_file_of_its_own_name(tmp_path: Path) -> None:
    wanted = column(np.zeros((2, 1), np.float32))
    assert [n for n, _ in write_column(tmp_path, "hard", wanted, np.dtype("float32"), "test")] == [2]
    assert [file.name for file in tmp_path.iterdir()] == ["hard_x.npy"]


def test_labels_are_kept_as_the_task_says_and_counted(tmp_path: Path) -> None:
    y = np.array([0, 2, 2, 0], np.uint16)
    assert write_labels(tmp_path, "train", 4, y, Classification(), SCORES) == SplitFacts(4, (2, 0, 2))
    found = np.load(tmp_path / "train_y.npy")
    assert (found.dtype, found.tolist()) == (Classification().stored(y).dtype, [0, 2, 2, 0])


def test_labels_of_several_outputs_are_counted_apart(tmp_path: Path) -> None:
    task = Several({"kind": Classification(), "height": Regression()})
    y = np.array([(0, 1.5), (2, 2.5)], [("kind", "i8"), ("height", "f4")])
    parts = (OutputFacts(name="kind", shape=(3,), labels=("a", "b", "c")), OutputFacts(name="height", shape=()))
    wanted = OutputFacts(name="kind+height", shape=(), parts=parts)
    facts = write_labels(tmp_path, "test", 2, y, task, wanted)
    assert (facts.samples, facts.per_class) == (2, ())
    assert facts.per_output["kind"] == (1, 0, 1)
    assert np.load(tmp_path / "test_y.npy")["height"].tolist() == [[1.5], [2.5]]


def test_a_data_set_without_labels_has_no_file_of_them(tmp_path: Path) -> None:
    assert write_labels(tmp_path, "train", 4, None, Classification(), SCORES) == SplitFacts(4)
    assert list(tmp_path.iterdir()) == []
