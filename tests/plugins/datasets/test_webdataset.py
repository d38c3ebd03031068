"""Tar files of samples: what is a sample, how it is read where it lies, and what is told of damage."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.plugins.conftest import Bench
from tests.stages.conftest import Told

from modelyard.errors import DataError
from modelyard.stages.splits.streams import splits_of
from modelyard_plugins.datasets.webdataset import check, webdataset

Files = dict[str, bytes]


def write(path: Path, files: Files) -> Path:
    """Write a tar file as WebDataset's own writer does."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def pictures(numbers: range) -> Files:
    files = {}
    for number in numbers:
        files[f"shop/{number:04}.{'PNG' if number % 3 else 'jpg'}"] = f"picture {number}".encode()
        files[f"shop/{number:04}.cls"] = b"%d\n" % (number % 2)
        files[f"shop/{number:04}.json"] = b"{}"
    return files


def array(values: Any, dtype: str = "f4", *, pickled: bool = False) -> bytes:
    held = io.BytesIO()
    np.save(held, np.array(values, object if pickled else dtype), allow_pickle=pickled)
    return held.getvalue()


def takes(numbers: range, kind: str = "npy") -> Files:
    """Return takes of speakers, two of each, and by which light."""
    files: Files = {}
    for number in numbers:
        own = {
            kind: array([number] * 3) if kind == "npy" else f"take {number}".encode(),
            "cls": b"yes" if number // 2 % 2 else b"no",
            "speaker": b"s%d\n" % (number // 2),
            "light": b"day" if number % 2 else b"night",
        }
        files |= {f"{number:04}.{ending}": content for ending, content in own.items()}
    return files


@pytest.mark.parametrize("kind", ["npy", "wav"])
def test_samples_have_groups_columns_and_further_test_sets(bench: Bench, tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "takes.tar", takes(range(40), kind))
    (tmp_path / "sets/far").mkdir(parents=True)
    write(tmp_path / "sets/dim.tar", takes(range(40, 43), kind))
    write(tmp_path / "sets/far/part-0.tar", takes(range(50, 52), kind))
    found: Any = webdataset(
        bench.stage(),
        path=str(path),
        slices=("light",),
        group="speaker",
        test_sets=str(tmp_path / "sets"),
        array="npy" if kind == "npy" else "",
        sent="wav" if kind == "wav" else "",
    )
    spread: Any = splits_of(found, tmp_path / "cache", Told()) if kind == "npy" else found

    def number(x: Any) -> int:
        return int(x[0] if kind == "npy" else x.decode().removeprefix("take "))

    train, test = ([number(x[at]) for at in range(len(x))] for x in (spread.train_x, spread.test_x))
    assert sorted([*train, *test]) == list(range(40))
    assert len(test) == 8
    if kind == "wav":
        assert spread.test_x.place_of(0).startswith(f"{path}, sample {test[0]} (from byte ")
    assert not {one // 2 for one in train} & {one // 2 for one in test}
    assert list(spread.groups) == [f"s{one // 2}" for one in train]
    assert spread.slices["light"] == ["day" if one % 2 else "night" for one in test]
    assert [*spread.test_sets] == ["dim", "far"]
    x, y = spread.test_sets["dim"]
    assert [number(x[at]) for at in range(3)] == [40, 41, 42]
    assert list(y) == [0, 0, 1]
    assert spread.test_set_slices["far"] == {"light": ["night", "day"]}


def test_files_are_samples_that_are_read_when_they_are_asked_for(bench: Bench, tmp_path: Path) -> None:
    for shard in range(3):
        write(tmp_path / f"shop-{shard:06}.tar", pictures(range(10 * shard, 10 * shard + 10)))
    (tmp_path / "README.md").write_text("")
    splits: Any = webdataset(bench.stage(), path=str(tmp_path), sent="jpg;png")
    assert (len(splits.train_x), len(splits.test_x)) == (24, 6)
    seen = []
    for x, y in ((splits.train_x, splits.train_y), (splits.test_x, splits.test_y)):
        assert np.bincount(y).tolist() == [len(y) // 2] * 2
        for row in (len(x) - 1, *range(len(x))):
            number = int(x[row].decode().removeprefix("picture "))
            assert y[row] == number % 2
            seen.append(number)
    assert set(seen) == set(range(30))


def test_splits_and_names_of_classes_are_those_of_the_folder(bench: Bench, tmp_path: Path) -> None:
    for split, count in (("train", 4), ("test", 2), ("val", 2)):
        files = {
            f"{n}.{end}": text
            for n in range(count)
            for end, text in (("txt", b"hi"), ("cls", b"no yes".split()[n % 2]))
        }
        write(tmp_path / f"{split}-0.tar", files)
    splits: Any = webdataset(bench.stage(), path=str(tmp_path), sent="txt")
    assert (len(splits.train_x), len(splits.test_x), splits.class_names) == (4, 2, ("no", "yes"))
    assert splits.train_y.tolist() == [0, 1, 0, 1]


def test_numbers_of_classes_have_the_names_that_are_given(bench: Bench, tmp_path: Path) -> None:
    write(tmp_path / "a.tar", pictures(range(10)))
    splits: Any = webdataset(bench.stage(), path=str(tmp_path), sent="jpg;png", class_names=("even", "odd"))
    assert splits.class_names == ("even", "odd")
    assert sorted(set(splits.train_y.tolist())) == [0, 1]


def test_arrays_may_be_of_several_lengths(bench: Bench, tmp_path: Path) -> None:
    files = {
        f"{n}.{end}": text
        for n in range(10)
        for end, text in (("npy", array([n] * (1 + n % 4))), ("cls", b"%d" % (n % 2)))
    }
    write(tmp_path / "a.tar", files)
    streams: Any = webdataset(bench.stage(), path=str(tmp_path / "a.tar"), array="npy", pad=0, stratify=False)
    assert streams.ragged
    for x, y in (*streams.train, *streams.test):
        assert x.dtype == np.float32
        assert len(x) == 1 + x[0] % 4
        assert y == x[0] % 2


def test_nothing_may_be_learnt(bench: Bench, tmp_path: Path) -> None:
    write(tmp_path / "a.tar", {f"{n}.npy": array([n]) for n in range(5)})
    streams: Any = webdataset(bench.stage(), path=str(tmp_path / "a.tar"), array="npy", target="")
    assert sorted(x[0] for x, y in (*streams.train, *streams.test) if y is None) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            {"1.jpg": b"a", "1.cls": b"0", "2.jpg": b"b"},
            r"a\.tar: the sample '2' has no file that ends in \.cls\n  it has: jpg",
        ),
        ({"1.gif": b"a", "1.cls": b"0"}, r"the sample '1' has no file that ends in \.jpg or \.png\n"),
        ({"1.jpg": b"a", "1.JPG": b"a"}, r"the sample '1' has two files that end in \.jpg\n"),
        ({"1": b"a"}, r"a\.tar: holds no sample\n"),
        ({"1.jpg": b"a", "1.cls": b"\xff"}, r"a\.tar, sample 0 \(from byte 1,536\): is no text in UTF-8"),
        ({"1.jpg": b"a", "1.cls": b""}, r"sample 0: the target 'cls' is '', which is nothing\n"),
    ],
)
def test_what_is_no_sample_is_told(bench: Bench, tmp_path: Path, files: Files, told: str) -> None:
    write(tmp_path / "a.tar", files)
    with pytest.raises(DataError, match=told):
        webdataset(bench.stage(), path=str(tmp_path / "a.tar"), sent="jpg;png")


@pytest.mark.parametrize(
    ("content", "why"), [(b"nothing", "magic string"), (array([{}], pickled=True), "pickle"), (array([1.0])[:-2], "")]
)
def test_what_is_no_array_is_told(bench: Bench, tmp_path: Path, content: bytes, why: str) -> None:
    write(tmp_path / "a.tar", {"1.npy": array([0.0]), "2.npy": content})
    streams: Any = webdataset(bench.stage(), path=str(tmp_path / "a.tar"), array="npy", target="")
    told = rf"a\.tar, sample 1 \(from byte .*\): cannot be read as an array: .*{why}.*\n  write it with numpy\.save"
    with pytest.raises(DataError, match=told):
        dict(enumerate((*streams.train, *streams.test)))


def test_damage_is_told_with_its_file(bench: Bench, tmp_path: Path) -> None:
    file = write(tmp_path / "a.tar", pictures(range(5)))
    whole = file.read_bytes()
    broken = bytearray(whole)
    broken[512 * 8 : 512 * 8 + 20] = b"\xaa" * 20  # a header between others
    for content, told in (
        (whole[: 512 * 7 + 3], r"a\.tar: ends within 'shop/0001\.PNG'|was cut short"),
        (whole[: 512 * 8], r"a\.tar: is damaged or was cut short at byte 4,096: it ends there without the zeros"),
        (bytes(broken), r"a\.tar: is damaged or was cut short at byte 4,096: it holds no file's header there\n"),
        (b"\xaa" * 2048, r"a\.tar: cannot be read as a tar file: "),
        (b"", r"a\.tar: cannot be read as a tar file: "),
    ):
        file.write_bytes(content)
        with pytest.raises(DataError, match=told):
            webdataset(bench.stage(), path=str(file), sent="jpg;png")


def test_what_is_no_tar_file_is_told(bench: Bench, tmp_path: Path) -> None:
    for path, told in (
        (tmp_path, r"holds no \.tar file\n"),
        (tmp_path / "a.zip", r"is no \.tar file\n"),
        (tmp_path / "a.tar.gz", r"is compressed, so that no sample can be read by itself\n  unpack it"),
        (tmp_path / "no.tar", r"no\.tar: cannot be read as a tar file: .*\n"),
    ):
        with pytest.raises(DataError, match=told):
            webdataset(bench.stage(), path=str(path), sent="jpg")


def test_a_tar_file_that_became_shorter_is_told(bench: Bench, tmp_path: Path) -> None:
    file = write(tmp_path / "a.tar", pictures(range(4)))
    splits: Any = webdataset(bench.stage(), path=str(file), sent="jpg;png")
    file.write_bytes(file.read_bytes()[:600])
    with pytest.raises(DataError, match=r"a\.tar: ends within a file of it"):
        [splits.train_x[row] for row in range(len(splits.train_x))]


def test_a_sample_is_said_once() -> None:
    none = {
        "sent": "",
        "array": "",
        "target": "cls",
        "as_text": False,
        "pad": None,
        "masks": False,
        "value_range": None,
    }
    for given, keys in (
        ({}, ["sent"]),
        ({"sent": "jpg", "array": "npy"}, ["sent"]),
        ({"sent": "jpg", "pad": 0, "masks": True, "value_range": (0, 1)}, ["pad", "masks", "value_range"]),
        ({"array": "npy", "masks": True}, ["masks"]),
        ({"array": "npy", "target": "", "as_text": True}, ["as_text"]),
        ({"array": "npy"}, []),
    ):
        assert [one.key for one in check(None, **none | given)] == keys  # type: ignore[arg-type]
