from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from modelyard import DataError
from modelyard_plugins.datasets.arrays import arrays


@pytest.fixture
def four() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "train_x": random.random((20, 4, 4, 1), np.float32),
        "train_y": np.arange(20) % 4,
        "test_x": random.random((8, 4, 4, 1), np.float32),
        "test_y": np.arange(8) % 4,
    }


def test_reads_an_npz_file_and_a_folder_alike(bench, four, tmp_path):
    np.savez(tmp_path / "a.npz", **four)
    (tmp_path / "folder").mkdir()
    for name, array in four.items():
        np.save(tmp_path / "folder" / name, array)
    for path in ("a.npz", "folder"):
        splits = arrays(bench.stage(), path=str(tmp_path / path))
        assert all(np.array_equal(getattr(splits, name), array) for name, array in four.items())
        assert splits.class_names == ("0", "1", "2", "3")
    assert isinstance(splits.train_x, np.memmap)


def test_x_and_y_are_split_by_class(bench, four, tmp_path):
    np.savez(tmp_path / "a.npz", x=four["train_x"], y=four["train_y"], class_names=np.array(["a", "b", "c", "d"]))
    splits = arrays(bench.stage(), path=str(tmp_path / "a.npz"), test_fraction=0.4)
    assert np.bincount(splits.test_y).tolist() == [2, 2, 2, 2]
    assert splits.class_names == ("a", "b", "c", "d")


def test_x_and_y_are_split_without_a_copy_in_memory(bench, tmp_path):
    samples, size = 64, 1 << 19
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, (samples, size))
    x[:] = np.arange(samples, dtype=np.uint8)[:, None]
    np.save(tmp_path / "y.npy", np.arange(samples) % 2)
    tracemalloc.start()
    splits = arrays(bench.stage(), path=str(tmp_path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < x.nbytes / 2
    assert sorted([*splits.train_x[:, -1], *splits.test_x[:, -1]]) == list(range(samples))
    assert (splits.train_x == splits.train_x[:, :1]).all()
    assert np.array_equal(splits.train_x[:, 0] % 2, splits.train_y)


def test_the_value_range_is_given_or_found(bench, four, tmp_path):
    np.savez(tmp_path / "a.npz", **four)
    path = str(tmp_path / "a.npz")
    low, high = arrays(bench.stage(), path=path).value_range
    assert low == min(four["train_x"].min(), four["test_x"].min())
    assert high == max(four["train_x"].max(), four["test_x"].max())
    assert arrays(bench.stage(), path=path, value_range=(0, 1)).value_range == (0, 1)


def test_pickled_objects_are_never_loaded(bench, four, tmp_path):
    np.savez(tmp_path / "a.npz", **(four | {"train_y": np.array([{}] * 20)}))
    with pytest.raises(DataError, match=r"a\.npz: holds pickled objects, which are never loaded"):
        arrays(bench.stage(), path=str(tmp_path / "a.npz"))


@pytest.mark.parametrize("keep", [0, 10, 300, -30])
def test_a_damaged_file_is_named(bench, four, tmp_path, keep):
    np.savez(tmp_path / "a.npz", **four)
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:keep])
    with pytest.raises(DataError, match=r"a\.npz: "):
        arrays(bench.stage(), path=str(tmp_path / "a.npz"))


def test_missing_arrays_are_named_with_what_there_is(bench, four, tmp_path):
    del four["test_y"]
    np.savez(tmp_path / "a.npz", **four, tset_y=np.zeros(8))
    with pytest.raises(DataError, match=r"no array 'test_y', did you mean 'tset_y'\?\n  it holds: .*train_x"):
        arrays(bench.stage(), path=str(tmp_path / "a.npz"))


def test_x_and_y_of_different_length_are_refused(bench, four, tmp_path):
    np.savez(tmp_path / "a.npz", x=four["train_x"], y=four["test_y"])
    with pytest.raises(DataError, match=r"x has the shape \(20, 4, 4, 1\) and y int64 of the shape \(8,\)"):
        arrays(bench.stage(), path=str(tmp_path / "a.npz"))


def test_a_file_that_is_no_npz_says_what_is_needed(bench, tmp_path):
    (tmp_path / "a.csv").write_text("1,2")
    with pytest.raises(DataError, match=r"neither a folder nor an \.npz file\n.*numpy\.savez"):
        arrays(bench.stage(), path=str(tmp_path / "a.csv"))


@pytest.mark.parametrize(
    ("labels", "dtype", "message"),
    [
        ([0, 1, 2, 2**31 - 2], np.int32, r"label 2147483646 stands at 10 of 40 samples, the first is sample 3;"),
        ([0, 1, 2, 2**32 - 1], np.uint32, r"label 4294967295 .*\(-1 without a sign\) means 'unknown'"),
        ([0, 1, 2, 2**64 - 1], np.uint64, r"label 18446744073709551615 .*\(-1 without a sign\)"),
        ([0, 1, -1, 2], np.int64, r"label -1 stands at 10 of 40 samples"),
        ([1, 2, 3, 4], np.int64, r"subtract 1 from each"),
    ],
)
def test_a_label_names_no_more_classes_than_there_are(bench, four, tmp_path, labels, dtype, message):
    """2^31 - 2 used to make two thousand million names, and -1 none at all."""
    from modelyard.stages.splits.checks import check_splits

    x = np.repeat(four["train_x"], 2, axis=0)
    np.savez(tmp_path / "a.npz", **four | {"train_x": x, "train_y": np.array(labels * 10, dtype)})
    splits = arrays(bench.stage(), path=str(tmp_path / "a.npz"))
    assert splits.class_names == ("0", "1", "2", "3")
    with pytest.raises(DataError, match=message):
        check_splits(splits)


def test_values_are_not_taken_for_classes(bench, four, tmp_path, monkeypatch):
    monkeypatch.setattr("modelyard_plugins.datasets.arrays._MOST_CLASSES", 3)
    np.savez(tmp_path / "a.npz", **four)
    with pytest.raises(DataError, match=r"a\.npz: 4 different labels: these are values, not classes"):
        arrays(bench.stage(), path=str(tmp_path / "a.npz"))
