from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.stages.conftest import Told
from tests.tasks import write_dataset

from modelyard import DataError
from modelyard.artifacts import Dataset, Splits
from modelyard.errors import PluginError
from modelyard.stages import dataset as stage
from modelyard.stages.splits import files as split_files
from modelyard.task import Task
from modelyard.tensors import OutputFacts, Preprocessing


def test_splits_are_written_as_they_are_with_their_facts(make_splits: Any, told: Told, tmp_path: Path) -> None:
    splits = make_splits()
    metrics = write_dataset(splits, tmp_path, progress=told)
    assert metrics == {"train": 30, "test": 12, "classes": 3, "shape": [4, 4, 3]}
    dataset = Dataset.open(tmp_path)
    for split in ("train", "test"):
        assert isinstance(dataset.x(split), np.memmap)
        assert np.array_equal(dataset.x(split), getattr(splits, f"{split}_x"))
        assert np.array_equal(dataset.y(split), getattr(splits, f"{split}_y"))
        assert dataset.y(split).dtype == np.int64
    assert dataset.facts.splits["train"].per_class == (10, 10, 10)
    assert told.calls[-1] == (42, 42)


def test_a_task_that_wants_no_number_is_refused_before_a_framework_ends_over_it(
    make_splits: Any, told: Told, tmp_path: Path
) -> None:
    class Nothing(Task):
        def check(self, splits: Any) -> OutputFacts:
            return OutputFacts(name="scores", shape=(len(splits.class_names),), labels=tuple(splits.class_names))

    with pytest.raises(PluginError, match=r"the task 'x' wants answers of the shape \(0,\), which hold no number\n"):
        stage.write_dataset(make_splits(class_names=()), tmp_path, Nothing(), "x", progress=told)


def test_unit_maps_the_value_range_to_0_and_1(make_splits: Any, told: Told, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.uniform(-3, 5, (30, 4)).astype(np.float32)
    x[0, :2] = (-3, 5)
    write_dataset(make_splits(train_x=x, test_x=x[:12], value_range=(-3, 5)), tmp_path, normalize="unit", progress=told)
    inputs = Dataset.open(tmp_path).inputs("train")
    assert inputs.dtype == np.float32
    assert inputs.min() == pytest.approx(0, abs=1e-6)
    assert inputs.max() == pytest.approx(1, abs=1e-6)


def test_without_a_range_unit_takes_that_of_the_training_split_and_the_server_takes_any_value(
    make_splits: Callable[..., Splits], told: Told, tmp_path: Path
) -> None:
    x = np.random.default_rng(0).normal(0, 5, (30, 4)).astype(np.float32)
    write_dataset(make_splits(train_x=x, test_x=3 * x[:12], value_range="auto"), tmp_path, progress=told)
    dataset = Dataset.open(tmp_path)
    assert dataset.facts.value_range is None
    inputs = dataset.inputs("train")
    assert (inputs.min(), inputs.max()) == pytest.approx((0, 1), abs=1e-6)
    assert dataset.inputs("test").max() > 1


def test_samples_that_are_all_alike_are_not_divided_by_nothing(
    make_splits: Callable[..., Splits], told: Told, tmp_path: Path
) -> None:
    x = np.full((30, 4), 7, np.float32)
    write_dataset(make_splits(train_x=x, test_x=x[:12], value_range="auto"), tmp_path, progress=told)
    assert (Dataset.open(tmp_path).inputs("train") == 7).all()


def test_standard_gives_each_channel_mean_0_and_deviation_1(make_splits: Any, told: Told, tmp_path: Path) -> None:
    train_x = make_splits().train_x.copy()
    train_x[..., 2] = 7  # a constant channel is not divided by nothing
    write_dataset(make_splits(train_x=train_x), tmp_path, normalize="standard", progress=told)
    inputs = Dataset.open(tmp_path).inputs("train").reshape(-1, 3)
    assert inputs.mean(axis=0) == pytest.approx([0, 0, 0], abs=1e-5)
    assert inputs.std(axis=0) == pytest.approx([1, 1, 0], abs=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_mean_and_deviation_are_taken_where_standard_needs_them(
    make_splits: Any, told: Told, tmp_path: Path, dtype: Any
) -> None:
    splits = make_splits()
    x = splits.train_x.astype(dtype)
    for normalize in ("unit", "none", "standard"):
        write_dataset(make_splits(train_x=x, test_x=x[:12]), tmp_path, normalize=normalize, progress=told)
        facts = Dataset.open(tmp_path).facts
        assert (len(facts.preprocessing.mean) == 3) == (normalize == "standard")
    assert facts.preprocessing.mean == pytest.approx(x.reshape(-1, 3).mean(axis=0))
    assert facts.preprocessing.std == pytest.approx(x.reshape(-1, 3).std(axis=0))


def test_none_leaves_samples_as_they_are(make_splits: Any, told: Told, tmp_path: Path) -> None:
    write_dataset(make_splits(), tmp_path, normalize="none", progress=told)
    dataset = Dataset.open(tmp_path)
    assert np.array_equal(dataset.inputs("test"), dataset.x("test").astype(np.float32))


def test_the_same_splits_give_the_same_bytes_whatever_the_block(
    make_splits: Any, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, block_bytes in (("a", 1 << 20), ("b", 100)):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(split_files, "_BLOCK_BYTES", block_bytes)
        write_dataset(make_splits(), tmp_path / name, progress=told)
    for file in sorted((tmp_path / "a").glob("*.npy")):
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


@given(
    arrays(np.float32, (6, 2, 2), elements=st.floats(-100, 100, width=32)),
    st.sampled_from([np.float16, np.float32, np.float64, ">f8"]),
)
def test_floats_of_any_kind_become_float32(values: Any, dtype: Any) -> None:
    x = values.astype(np.float16).astype(dtype)
    with tempfile.TemporaryDirectory() as folder:
        splits = Splits(x, np.arange(6) % 2, x[:2], np.arange(2), ("a", "b"), (-101.0, 101.0))
        write_dataset(splits, Path(folder), progress=lambda *a, **k: None)
        stored = Dataset.open(Path(folder)).x("train")
        assert stored.dtype == np.float32
        assert np.array_equal(stored, x.astype(np.float32))


def test_halves_take_half_the_room_and_are_float32_to_all(make_splits: Any, told: Told, tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((30, 4, 4, 3)).astype(np.float16)
    write_dataset(make_splits(train_x=x, test_x=x[:12], value_range=(0, 1)), tmp_path, progress=told)
    dataset = Dataset.open(tmp_path)
    assert np.load(tmp_path / "train_x.npy").dtype == np.float16
    assert dataset.facts.dtype == "float32"
    assert dataset.inputs("train").dtype == np.float32
    np.testing.assert_array_equal(dataset.inputs("train"), x)


@given(
    arrays(np.int64, (5, 3), elements=st.integers(0, 100)),
    st.sampled_from([np.int8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, ">i4"]),
)
def test_whole_numbers_stay_what_they_are(x: Any, dtype: Any) -> None:
    """Small ones, too: a vocabulary of a hundred words has ids that a byte would hold."""
    with tempfile.TemporaryDirectory() as folder:
        splits = Splits(x.astype(dtype), np.arange(5) % 2, x[:2].astype(dtype), np.arange(2), ("a", "b"), (0, 100))
        write_dataset(splits, Path(folder), progress=lambda *a, **k: None)
        dataset = Dataset.open(Path(folder))
        kept = np.int32 if np.can_cast(dtype, np.int32) else np.int64
        assert dataset.x("train").dtype == dataset.inputs("train").dtype == kept
        assert np.array_equal(dataset.inputs("train"), x)
        assert dataset.facts.preprocessing == Preprocessing()


@pytest.mark.parametrize("normalize", ["unit", "standard"])
def test_whole_numbers_are_not_normalized(make_splits: Any, told: Told, tmp_path: Path, normalize: str) -> None:
    x = np.arange(60).reshape(30, 2)
    message = (
        rf"normalize = '{normalize}': the samples are int64, whole numbers (.|\n)*\n  leave normalize out; or give"
    )
    with pytest.raises(DataError, match=message):
        write_dataset(make_splits(train_x=x, test_x=x[:12]), tmp_path, normalize=normalize, progress=told)
    assert not list(tmp_path.iterdir())


def test_memory_maps_and_other_orders_are_written_right(make_splits: Any, told: Told, tmp_path: Path) -> None:
    x = make_splits().train_x
    np.save(tmp_path / "x.npy", np.asfortranarray(x))
    (tmp_path / "out").mkdir()
    write_dataset(make_splits(train_x=np.load(tmp_path / "x.npy", mmap_mode="r")), tmp_path / "out", progress=told)
    assert np.array_equal(Dataset.open(tmp_path / "out").x("train"), x)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, r"train_x: sample 17 holds nan, which is not a finite number"),
        (np.inf, r"train_x: sample 17 holds inf, which is not a finite number"),
        (1.5, r"train_x: sample 17 holds 1\.5, which is outside the value range 0 to 1"),
        (-0.5, r"train_x: sample 17 holds -0\.5, which is outside"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_bad_value_is_named_with_its_sample(
    make_splits: Any, told: Told, tmp_path: Path, value: Any, message: str, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(split_files, "_BLOCK_BYTES", 1000)
    x = np.zeros((30, 4, 4, 3), dtype)
    x[17, 2, 1, 0] = value
    x[21, 0, 0, 0] = value
    with pytest.raises(DataError, match=message):
        write_dataset(make_splits(train_x=x, test_x=x[:12], value_range=(0, 1)), tmp_path, progress=told)


def test_a_number_a_sample_is_normalized_as_one_channel(told: Told, tmp_path: Path) -> None:
    ages, pictures = np.arange(30, dtype=np.float32), np.zeros((30, 2), np.float32)
    x = {"age": ages, "picture": pictures}
    write_dataset(
        Splits(x, np.arange(30) % 2, x, np.arange(30) % 2, ("a", "b")), tmp_path, normalize="standard", progress=told
    )
    age, picture = Dataset.open(tmp_path).facts.inputs
    assert age.shape == ()
    assert age.preprocessing.mean == pytest.approx((ages.mean(),))
    assert age.preprocessing.std == pytest.approx((ages.std(),))
    assert len(picture.preprocessing.mean) == 2
