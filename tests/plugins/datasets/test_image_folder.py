from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from tests.plugins.conftest import Bench
from tests.shared import array

from modelyard import DataError
from modelyard.contexts import CheckContext
from modelyard_plugins.datasets.image_folder import check, image_folder, read_picture

if TYPE_CHECKING:
    from pathlib import Path

AROUND = CheckContext(name="pictures", version="1", runtime="served")
COLOURS = {"blue": (0, 0, 250), "green": (0, 250, 0), "red": (250, 0, 0)}


def fill(root: Path, pictures: int) -> None:
    for name, colour in COLOURS.items():
        (root / name).mkdir(parents=True)
        for number in range(pictures):
            ending = ("png", "jpg", "JPEG")[number % 3]
            Image.new("RGB", (20 + number, 16), colour).save(root / name / f"{number}.{ending}")


def files(samples: object) -> list[Path]:
    """Return the samples of a data set whose pictures stay files."""
    assert isinstance(samples, list)
    return samples


def test_pictures_are_resized_and_labelled_by_folder(bench: Bench, tmp_path: Path) -> None:
    fill(tmp_path / "set", 6)
    (tmp_path / "set" / "red" / "notes.txt").write_text("not a picture")
    (tmp_path / "set" / ".git").mkdir()
    splits = image_folder(bench.stage(), folder=str(tmp_path / "set"), size=(8, 12), test_fraction=0.34)
    assert splits.class_names == ("blue", "green", "red")
    assert array(splits.train_x).shape == (12, 8, 12, 3)
    assert array(splits.test_x).shape == (6, 8, 12, 3)
    for x, y in ((splits.train_x, splits.train_y), (splits.test_x, splits.test_y)):
        seen = array(x).astype(int)[:, 4, 6]
        assert np.abs(seen - np.array(list(COLOURS.values()))[array(y)]).max() < 12  # JPEG is lossy
    assert bench.told[-1] == (18, 18)


def test_train_and_test_folders_are_taken_as_they_are(bench: Bench, tmp_path: Path) -> None:
    fill(tmp_path / "train", 3)
    fill(tmp_path / "test", 1)
    splits = image_folder(bench.stage(), folder=str(tmp_path), size=4, grayscale=True)
    assert array(splits.train_x).shape == (9, 4, 4, 1)
    assert array(splits.test_y).tolist() == [0, 1, 2]


def test_classes_called_train_and_test_are_classes(bench: Bench, tmp_path: Path) -> None:
    for name in ("test", "train"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(2):
            Image.new("L", (4, 4)).save(tmp_path / "set" / name / f"{number}.png")
    assert image_folder(bench.stage(), folder=str(tmp_path / "set")).class_names == ("test", "train")


def test_train_and_test_must_hold_the_same_classes(bench: Bench, tmp_path: Path) -> None:
    fill(tmp_path / "train", 1)
    fill(tmp_path / "test", 1)
    (tmp_path / "test" / "red").rename(tmp_path / "test" / "rot")
    with pytest.raises(DataError, match="train and test hold different classes: red, rot"):
        image_folder(bench.stage(), folder=str(tmp_path))


def test_the_result_does_not_hang_on_the_order_of_the_file_system(bench: Bench, tmp_path: Path) -> None:
    fill(tmp_path / "a", 5)
    for file in sorted((tmp_path / "a").rglob("*.*"), reverse=True):
        target = tmp_path / "b" / file.relative_to(tmp_path / "a")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    first, second = (image_folder(bench.stage(), folder=str(tmp_path / name)) for name in "ab")
    assert np.array_equal(array(first.train_x), array(second.train_x))
    assert np.array_equal(array(first.test_y), array(second.test_y))


def test_a_damaged_picture_is_named(bench: Bench, tmp_path: Path) -> None:
    fill(tmp_path / "set", 2)
    path = tmp_path / "set" / "green" / "0.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=r"green/0\.png: cannot be read as PNG or JPEG"):
        image_folder(bench.stage(), folder=str(tmp_path / "set"))


def test_deep_pictures_are_refused_rather_than_clipped(bench: Bench, tmp_path: Path) -> None:
    fill(tmp_path / "set", 2)
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(tmp_path / "set" / "red" / "deep.png")
    with pytest.raises(DataError, match=r"deep\.png: has more than 8 bits a channel"):
        image_folder(bench.stage(), folder=str(tmp_path / "set"))


@pytest.mark.parametrize(("make", "message"), [("", "holds no folders"), ("cat", "cat: holds no pictures")])
def test_an_empty_folder_says_what_is_expected(bench: Bench, tmp_path: Path, make: str, message: str) -> None:
    (tmp_path / "set" / make).mkdir(parents=True)
    with pytest.raises(DataError, match=message):
        image_folder(bench.stage(), folder=str(tmp_path / "set"))


def test_pictures_stay_files_for_a_handler(bench: Bench, tmp_path: Path) -> None:
    fill(tmp_path / "set", 4)
    splits = image_folder(bench.stage(), folder=str(tmp_path / "set"), decode=False)
    assert {path.parent.name for path in files(splits.train_x)} == set(COLOURS)
    names = [splits.names[label] for label in array(splits.test_y)]
    assert names == [path.parent.name for path in files(splits.test_x)]
    assert splits.value_range is None


@pytest.mark.parametrize("params", [{"size": (8, 8), "grayscale": False}, {"size": 32, "grayscale": True}])
def test_what_is_said_of_pixels_that_stay_in_their_files_is_refused(params: dict[str, Any]) -> None:
    assert [problem.key for problem in check(AROUND, decode=False, **params)] == [
        "size" if params["size"] != 32 else "grayscale"
    ]
    assert list(check(AROUND, decode=True, **params)) == []


def test_one_new_picture_among_many_decodes_one(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counting(path: Path, content: bytes, size: tuple[int, int], channels: int) -> np.ndarray:
        read.append(path.name)
        return read_picture(path, content, size, channels)

    monkeypatch.setattr("modelyard_plugins.datasets.image_folder.read_picture", counting)
    root = tmp_path / "set"
    fill(root / "train", 4)
    fill(root / "test", 4)
    first = image_folder(bench.stage(), folder=str(root), size=8)
    assert 0 < len(read) <= 24
    read.clear()
    Image.new("RGB", (9, 9), (250, 250, 0)).save(root / "train/red/new.png")
    second = image_folder(bench.stage(), folder=str(root), size=8)
    assert read == ["new.png"]
    np.testing.assert_array_equal(array(second.train_x)[:12], array(first.train_x))


def test_further_test_sets_are_folders_beside_train_and_test(bench: Bench, tmp_path: Path) -> None:
    for split in ("train", "test", "night"):
        fill(tmp_path / "set" / split, 2)
    splits = image_folder(bench.stage(), folder=str(tmp_path / "set"), size=4, test_sets=("night",))
    x, y = splits.test_sets["night"]
    assert array(x).shape == (6, 4, 4, 3)
    assert array(y).tolist() == [0, 0, 1, 1, 2, 2]
    sent = image_folder(bench.stage(), folder=str(tmp_path / "set"), decode=False, test_sets=("night",))
    assert [one.parent.parent.name for one in files(sent.test_sets["night"][0])] == ["night"] * 6
    fill(tmp_path / "flat", 2)
    with pytest.raises(DataError, match=r"'night' is a folder beside train and test, which are not there"):
        image_folder(bench.stage(), folder=str(tmp_path / "flat"), test_sets=("night",))
