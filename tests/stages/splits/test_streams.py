from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.plugins.conftest import no_progress
from tests.shared import array, arrays
from tests.tasks import write_dataset

from modelyard.artifacts import Dataset, Splits, Streams
from modelyard.errors import DataError
from modelyard.stages.splits.streams import splits_of

Gathered = Callable[..., Splits]


@pytest.fixture
def gathered(tmp_path: Path) -> Gathered:
    """Returns the splits of streams that are made of these arguments."""
    return lambda *args, **options: splits_of(Streams(*args, **options), tmp_path / "cache", no_progress)


def pairs(samples: int) -> Iterator[tuple[Any, int]]:
    return ((np.full((2, 3), number, np.uint8), number % 2) for number in range(samples))


class ByNumber:
    """What PyTorch calls a map-style Dataset: no iterator, and no IndexError at its end."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, number: int) -> tuple[Any, int]:
        return [float(number)] * 3, number % 2


class OfTensorFlow:
    """What a `tf.data.Dataset` of a generator has."""

    def __len__(self) -> int:
        msg = "The dataset length is unknown."
        raise TypeError(msg)

    def as_numpy_iterator(self) -> Iterator[Any]:
        return iter([({"a": np.array([1, 2], np.float32), "b": np.int32(3)}, np.int64(1))] * 2)


def test_samples_that_come_one_by_one_become_arrays(gathered: Gathered) -> None:
    splits = gathered(pairs(5), list(pairs(2)), class_names=("even", "odd"))
    np.testing.assert_array_equal(splits.train_x, np.stack([x for x, _ in pairs(5)]))
    assert (array(splits.train_y).tolist(), array(splits.test_y).tolist()) == ([0, 1, 0, 1, 0], [0, 1])
    assert array(splits.train_x).dtype == np.uint8
    assert splits.class_names == ("even", "odd")


def test_what_frameworks_call_a_dataset_is_gone_through(gathered: Gathered) -> None:
    assert array(gathered(ByNumber(), ByNumber()).train_x).tolist() == [[0.0] * 3, [1.0] * 3, [2.0] * 3, [3.0] * 3]
    splits = gathered(OfTensorFlow(), OfTensorFlow())
    assert {name: one.shape for name, one in arrays(splits.train_x).items()} == {"a": (2, 2), "b": (2,)}


def test_samples_of_several_lengths_are_padded_with_a_mask(gathered: Gathered, tmp_path: Path) -> None:
    train, test = [([1, 2, 3], 0), ([4], 1)], [([5, 6, 7, 8], 1), ([9, 9], 0)]
    splits = gathered(iter(train), iter(test), pad=-7, masks=True)
    folder = tmp_path / "written"
    folder.mkdir()
    write_dataset(splits, folder, progress=no_progress)
    raw = Dataset.open(folder).raw("train")
    assert raw["input"].tolist() == [[1, 2, 3, -7], [4, -7, -7, -7]]
    assert raw["input_mask"].tolist() == [[1, 1, 1, 0], [1, 0, 0, 0]]


def test_samples_of_several_lengths_stay_so(gathered: Gathered, tmp_path: Path) -> None:
    train, test = [([1.0, 2, 3], 0), ([4.0], 1)], [([5.0, 6, 7, 8], 1), ([9.0, 9], 0)]
    splits = gathered(iter(train), iter(test), pad=0, masks=True, ragged=True)
    folder = tmp_path / "written"
    folder.mkdir()
    write_dataset(splits, folder, normalize="unit", progress=no_progress)
    dataset = Dataset.open(folder)
    assert sorted(path.name for path in folder.glob("train_x*")) == [
        "train_x.offsets.npy",
        "train_x.values-00000.npy",
    ]
    assert dataset.facts.shapes == {"input": (None,), "input_mask": (None,)}
    assert dataset.raw("test")["input"][:1].tolist() == [[5, 6, 7, 8]]
    assert dataset.raw("train")["input_mask"][:].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert dataset.lengths("train")["length"].tolist() == [3, 1]
    mapped = dataset.tensors("train", slice(2))["input"]  # by the lowest and highest of the samples, not of what pads
    np.testing.assert_allclose(mapped[0], [0, 1 / 3, 2 / 3], atol=1e-6)


@pytest.mark.parametrize("tail", [(), (2,)])
def test_samples_of_several_lengths_are_normalized_by_their_own_values(
    gathered: Gathered, tmp_path: Path, tail: tuple[int, ...]
) -> None:
    random = np.random.default_rng(0)
    samples = [random.normal(3, 2, (length, *tail)).astype(np.float32) for length in (1, 40, 7, 3)]
    pairs = [(one, number % 2) for number, one in enumerate(samples)]
    write_dataset(gathered(pairs, pairs, pad=0, ragged=True), tmp_path, normalize="standard", progress=no_progress)
    dataset = Dataset.open(tmp_path)
    values = np.concatenate(samples).astype(np.float64)
    np.testing.assert_allclose(dataset.facts.preprocessing.mean, np.atleast_1d(values.mean(axis=0)), rtol=1e-6)
    np.testing.assert_allclose(dataset.facts.preprocessing.std, np.atleast_1d(values.std(axis=0)), rtol=1e-6)


@pytest.mark.parametrize(
    ("train", "told"),
    [
        ([([1.0], 0), ([2.0, 3, float("nan")], 1)], "train_x: sample 1 holds nan, which is not a finite number\n"),
        ([([1.0], 0), ([2.0, 300], 1)], "train_x: sample 1 holds 300.0, which is outside the value range 0 to 9\n"),
    ],
)
def test_a_value_that_is_not_allowed_is_told_with_its_sample(
    gathered: Gathered, tmp_path: Path, train: Any, told: str
) -> None:
    splits = gathered(train, [([1.0, 2], 0), ([1.0], 1)], value_range=(0, 9), pad=0, ragged=True)
    with pytest.raises(DataError) as caught:
        write_dataset(splits, tmp_path, progress=no_progress)
    assert str(caught.value).startswith(told)


def test_labels_of_several_lengths_do_not_count_behind_their_end(gathered: Gathered) -> None:
    splits = gathered([([1, 2], [0, 1]), ([3], [1])], [([1], [0])], pad=0)
    assert array(splits.train_y).tolist() == [[0, 1], [1, -1]]
    assert array(splits.test_y).tolist() == [[0, -1]]


def test_texts_bytes_and_files_are_for_handlers(gathered: Gathered, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    splits = gathered([("äh", "yes"), (b"\0\1", "no")], [(tmp_path / "a.wav", "yes")])
    train, test = array(splits.train_x), array(splits.test_x)
    assert (train[0], train[1], test[0]) == ("äh".encode(), b"\0\1", b"RIFF")
    assert array(splits.train_y).tolist() == ["yes", "no"]


def test_a_stream_larger_than_memory_needs_none_of_it(tmp_path: Path) -> None:
    import tracemalloc

    one = np.zeros((256, 1024), np.uint8)
    samples = [(one, 0)] * 400  # 100 MB
    tracemalloc.start()
    splits = splits_of(Streams(iter(samples), samples[:1]), tmp_path, no_progress)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert array(splits.train_x).shape == (400, 256, 1024)
    assert peak < 40e6


@pytest.mark.parametrize(
    ("train", "told"),
    [
        ([], "train: gives no sample\n"),
        (3, "train: is a int, which gives no samples\n"),
        ([{"x": 1}], "train: sample 0 is a dict, not a pair"),
        ([(1, 2, 3)], "train: sample 0 is 3 values, not a pair"),
        ([([1, 2], 0), ([[1, 2]], 0)], "train: sample 1: x has the shape (1, 2), but the first has (2,)\n"),
        ([([1, 2], 0), ([1.5, 2], 0)], "train: sample 1: x is float64, but the first is int64\n"),
        ([([1], 0), ([1], None)], "train: sample 1 has x, but those before it have x, y\n"),
        ([({"a": 1}, 0), ({"b": 1}, 0)], "train: sample 1 has x['b'], y, but those before it have x['a'], y\n"),
        ([("a", 0), ([1], 0)], "train: sample 1: x is a list, but the first is a text"),
        ([(object(), 0)], "train: sample 0: x is a object, which is no array of numbers"),
        ([([1], 0), ([1, 2], 0)], "samples are of several lengths, 1 to 2\n  set Streams.pad"),
        ([({"a": [1]}, 0)], "train has x['a'], but test has x\n"),
    ],
)
def test_what_is_no_sample_is_told_with_its_number(gathered: Gathered, train: Any, told: str) -> None:
    with pytest.raises(DataError) as caught:
        gathered(train, [([1], 0)])
    assert str(caught.value).startswith(told)


def test_labels_of_several_outputs_and_further_test_sets(gathered: Gathered) -> None:
    def several(samples: int) -> Iterator[tuple[Any, Any]]:
        return (([float(n)], {"kind": n % 2, "place": [n / 2, n]}) for n in range(samples))

    splits = gathered(several(4), several(2), test_sets={"night": several(3)})
    assert arrays(splits.train_y)["kind"].tolist() == [0, 1, 0, 1]
    x, y = splits.test_sets["night"]
    assert array(x)[:, 0].tolist() == [0, 1, 2]
    assert arrays(y)["place"].tolist() == [[0, 0], [0.5, 1], [1, 2]]
    with pytest.raises(DataError, match=r"test_sets: holds train or test\n  give a dict"):
        gathered(several(4), several(2), test_sets={"test": several(3)})
    with pytest.raises(DataError, match=r"sample 1 has x, y\['a'\], but those before it have x, y\['b'\]"):
        gathered([([1.0], {"b": 1}), ([1.0], {"a": 1})], several(2))
