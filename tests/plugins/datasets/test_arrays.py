from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.plugins.conftest import Bench
from tests.shared import array
from tests.shared import arrays as arrays_of

from modelyard import DataError
from modelyard_plugins.datasets.arrays import arrays

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def save(file: Path, **given: ArrayLike) -> None:
    np.savez(file, allow_pickle=True, **given)


@pytest.fixture
def four() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "train_x": random.random((20, 4, 4, 1), np.float32),
        "train_y": np.arange(20) % 4,
        "test_x": random.random((8, 4, 4, 1), np.float32),
        "test_y": np.arange(8) % 4,
    }


def test_reads_an_npz_file_and_a_folder_alike(bench: Bench, four: dict[str, np.ndarray], tmp_path: Path) -> None:
    save(tmp_path / "a.npz", **four)
    (tmp_path / "folder").mkdir()
    for name, held in four.items():
        np.save(tmp_path / "folder" / name, held)
    for path in ("a.npz", "folder"):
        splits = arrays(bench.stage(), path=str(tmp_path / path))
        assert all(np.array_equal(getattr(splits, name), held) for name, held in four.items())
        assert splits.class_names == ()
    assert isinstance(splits.train_x, np.memmap)


def test_x_and_y_are_split_by_class(bench: Bench, four: dict[str, np.ndarray], tmp_path: Path) -> None:
    save(tmp_path / "a.npz", x=four["train_x"], y=four["train_y"], class_names=np.array(["a", "b", "c", "d"]))
    splits = arrays(bench.stage(), path=str(tmp_path / "a.npz"), test_fraction=0.4)
    assert np.bincount(array(splits.test_y)).tolist() == [2, 2, 2, 2]
    assert splits.class_names == ("a", "b", "c", "d")


def test_x_and_y_are_split_without_a_copy_in_memory(bench: Bench, tmp_path: Path) -> None:
    samples, size = 64, 1 << 19
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, (samples, size))
    x[:] = np.arange(samples, dtype=np.uint8)[:, None]
    np.save(tmp_path / "y.npy", np.arange(samples) % 2)
    tracemalloc.start()
    splits = arrays(bench.stage(), path=str(tmp_path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < x.nbytes / 2
    train_x = array(splits.train_x)
    assert sorted([*train_x[:, -1], *array(splits.test_x)[:, -1]]) == list(range(samples))
    assert (train_x == train_x[:, :1]).all()
    assert np.array_equal(train_x[:, 0] % 2, array(splits.train_y))


def test_the_value_range_is_the_one_that_is_given(bench: Bench, four: dict[str, np.ndarray], tmp_path: Path) -> None:
    save(tmp_path / "a.npz", **four)
    path = str(tmp_path / "a.npz")
    assert arrays(bench.stage(), path=path).value_range == "auto"
    assert arrays(bench.stage(), path=path, value_range=(0, 1)).value_range == (0, 1)
    save(tmp_path / "ids.npz", **(four | {"train_x": np.array([[3, 9]] * 20), "test_x": np.array([[1, 9]] * 8)}))
    assert arrays(bench.stage(), path=str(tmp_path / "ids.npz")).value_range == (1, 9)


def test_pickled_objects_are_never_loaded(bench: Bench, four: dict[str, np.ndarray], tmp_path: Path) -> None:
    save(tmp_path / "a.npz", **(four | {"train_y": np.array([{}] * 20)}))
    with pytest.raises(DataError, match=r"a\.npz: holds pickled objects, which are never loaded"):
        arrays(bench.stage(), path=str(tmp_path / "a.npz"))


@pytest.mark.parametrize("keep", [0, 10, 300, -30])
def test_a_damaged_file_is_named(bench: Bench, four: dict[str, np.ndarray], tmp_path: Path, keep: int) -> None:
    save(tmp_path / "a.npz", **four)
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:keep])
    with pytest.raises(DataError, match=r"a\.npz: "):
        arrays(bench.stage(), path=str(tmp_path / "a.npz"))


def test_missing_arrays_are_named_with_what_there_is(bench: Bench, four: dict[str, np.ndarray], tmp_path: Path) -> None:
    del four["test_y"]
    save(tmp_path / "a.npz", **four, tset_y=np.zeros(8))
    with pytest.raises(DataError, match=r"no array 'test_y', did you mean 'tset_y'\?\n  it holds: .*train_x"):
        arrays(bench.stage(), path=str(tmp_path / "a.npz"))


@pytest.mark.parametrize(("dtype", "shape"), [(np.float32, (20,)), (np.uint8, (20, 3)), (np.int64, (20, 1))])
def test_what_is_no_class_is_split_by_rows(
    bench: Bench, four: dict[str, np.ndarray], tmp_path: Path, dtype: Any, shape: tuple[Any, ...]
) -> None:
    y = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    save(tmp_path / "a.npz", x=np.arange(20).reshape(20, 1), y=y)
    splits = arrays(bench.stage(), path=str(tmp_path / "a.npz"), test_fraction=0.25)
    train_y, test_y = array(splits.train_y), array(splits.test_y)
    assert (len(train_y), len(test_y), splits.class_names) == (15, 5, ())
    assert (train_y == y[array(splits.train_x)[:, 0]]).all()
    assert (test_y.dtype, test_y.shape[1:]) == (dtype, shape[1:])


def test_whole_numbers_that_are_no_classes_can_be_split_by_rows(bench: Bench, tmp_path: Path) -> None:
    save(tmp_path / "a.npz", x=np.arange(20).reshape(20, 1), y=np.arange(20))
    with pytest.raises(DataError, match=r"has a single sample.*\n  add samples.*or set stratify = false"):
        arrays(bench.stage(), path=str(tmp_path / "a.npz"))
    splits = arrays(bench.stage(), path=str(tmp_path / "a.npz"), stratify=False)
    test_y = array(splits.test_y)
    assert (array(splits.test_x)[:, 0] == test_y).all()
    assert len(test_y) == 4


def test_samples_may_stand_alone(bench: Bench, four: dict[str, np.ndarray], tmp_path: Path) -> None:
    save(tmp_path / "four.npz", train_x=four["train_x"], test_x=four["test_x"])
    save(tmp_path / "two.npz", x=four["train_x"], class_names=["a", "b"])
    splits = arrays(bench.stage(), path=str(tmp_path / "four.npz"))
    assert (len(splits.train_x), len(splits.test_x), splits.train_y, splits.test_y) == (20, 8, None, None)
    splits = arrays(bench.stage(), path=str(tmp_path / "two.npz"))
    assert (len(splits.train_x), len(splits.test_x), splits.train_y, splits.test_y) == (16, 4, None, None)
    assert splits.class_names == ("a", "b")


def test_x_and_y_of_different_length_are_refused(bench: Bench, four: dict[str, np.ndarray], tmp_path: Path) -> None:
    save(tmp_path / "a.npz", x=four["train_x"], y=four["test_y"])
    with pytest.raises(DataError, match=r"x has the shape \(20, 4, 4, 1\) and y int64 of the shape \(8,\)"):
        arrays(bench.stage(), path=str(tmp_path / "a.npz"))


def test_a_file_that_is_no_npz_says_what_is_needed(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2")
    with pytest.raises(DataError, match=r"neither a folder nor an \.npz file\n.*numpy\.savez"):
        arrays(bench.stage(), path=str(tmp_path / "a.csv"))


def test_labels_of_several_outputs_and_further_test_sets_are_arrays_of_their_own(
    bench: Bench, four: dict[str, np.ndarray], tmp_path: Path
) -> None:
    each = {f"{split}_y.{name}": four[f"{split}_y"] + n for split in ("train", "test") for n, name in enumerate("ab")}
    night = {"night_x": four["test_x"], "night_y.a": four["test_y"], "night_y.b": four["test_y"]}
    given = {"train_x": four["train_x"], "test_x": four["test_x"], "class_names.a": np.array(list("wxyz")), **each}
    save(tmp_path / "a.npz", **given, **night)
    splits = arrays(bench.stage(), path=str(tmp_path / "a.npz"), test_sets=("night",))
    assert splits.class_names == {"a": ("w", "x", "y", "z")}
    np.testing.assert_array_equal(arrays_of(splits.train_y)["b"], four["train_y"] + 1)
    x, y = splits.test_sets["night"]
    np.testing.assert_array_equal(array(x), four["test_x"])
    assert [*arrays_of(y)] == ["a", "b"]
    save(tmp_path / "b.npz", x=four["train_x"], **{"y.a": four["train_y"], "y.b": np.arange(20.0)})
    split = arrays(bench.stage(), path=str(tmp_path / "b.npz"), test_fraction=0.2)
    train_y, test_y = arrays_of(split.train_y), arrays_of(split.test_y)
    assert sorted(test_y["a"]) == [0, 1, 2, 3], "set apart class by class"
    assert {*test_y["b"], *train_y["b"]} == set(range(20))
    with pytest.raises(DataError, match=r"test_sets: there is no array 'nigt_x', did you mean 'night_x'\?"):
        arrays(bench.stage(), path=str(tmp_path / "a.npz"), test_sets=("nigt",))


@pytest.mark.parametrize("labelled", [True, False])
def test_a_group_is_on_one_side(bench: Bench, tmp_path: Path, labelled: bool) -> None:
    n = np.arange(60)
    labels = {"y": n % 3} if labelled else {}
    save(tmp_path / "a.npz", x=n[:, None].astype(np.float32), patient=n // 3, **labels)
    splits: Any = arrays(bench.stage(), path=str(tmp_path / "a.npz"), group="patient")
    assert (len(splits.train_x), len(splits.test_x)) == (48, 12)
    assert list(splits.groups) == [str(int(x) // 3) for x in splits.train_x[:, 0]]
    assert not {*splits.groups} & {str(int(x) // 3) for x in splits.test_x[:, 0]}


def test_groups_of_arrays_that_are_split_already_are_those_of_the_training_split(
    bench: Bench, four: dict[str, np.ndarray], tmp_path: Path
) -> None:
    save(tmp_path / "a.npz", **four, speaker=np.array(["ann", "bob"] * 10), odd=np.zeros((20, 2)))
    splits = arrays(bench.stage(), path=str(tmp_path / "a.npz"), group="speaker")
    assert list(splits.groups) == ["ann", "bob"] * 10
    with pytest.raises(DataError, match="group: the array 'speakr' is not there, did you mean 'speaker'"):
        arrays(bench.stage(), path=str(tmp_path / "a.npz"), group="speakr")
    with pytest.raises(DataError, match=r"group: the array 'odd' is float64 of the shape \(20, 2\)\n  give a text or"):
        arrays(bench.stage(), path=str(tmp_path / "a.npz"), group="odd")
