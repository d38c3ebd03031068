"""Data sets that were changed at random: each is read, or refused in words."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.artifacts import Dataset, Model
from modelyard.files.json import write_json
from modelyard.oci.lock import Lock
from modelyard.store.record import Record, read_trace
from tests.facts import dataset_facts, model_json

from .mutations import changed, changed_zip, read, rounds

COUNT = 300


def fuzz(load: Callable[[Path], object], data: bytes, path: Path, count: int = COUNT) -> set[bool]:
    """Change `data` again and again, and return whether it was read and whether it was refused."""
    outcomes = set()
    for dice in rounds(count):
        path.write_bytes(changed(data, dice))
        outcomes.add(bool(read(load, path)))
    return outcomes


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_npy_files(tmp_path: Path) -> None:
    def load(path: Path) -> object:
        return Dataset(tmp_path, dataset_facts(input_shape=(4,), class_names=("a", "b"))).x("train")

    assert fuzz(load, npy(np.zeros((20, 4), np.float32)), tmp_path / "train_x.npy", 3 * COUNT) == {True, False}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_files(tmp_path: Path, save: Any) -> None:
    from modelyard_plugins.support.data.npz import read_npz

    save(
        tmp_path / "whole.npz",
        train_x=np.zeros((20, 4), np.uint8),
        train_y=np.arange(20),
        class_names=np.array(["a", "b"]),
    )
    outcomes = set()
    for dice in rounds(COUNT):
        changed_zip(tmp_path / "whole.npz", tmp_path / "a.npz", dice)
        outcomes.add(bool(read(read_npz, tmp_path / "a.npz")))
    assert outcomes == {True, False}


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files(tmp_path: Path, packed: bool) -> None:
    from modelyard_plugins.support.data.idx import read_idx

    data = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (5, 4, 4)) + bytes(80)
    path = tmp_path / ("x.gz" if packed else "x")
    assert True in fuzz(lambda path: read_idx(path, 3), gzip.compress(data) if packed else data, path)


@pytest.mark.parametrize("ending", ["PNG", "JPEG"])
def test_pictures(tmp_path: Path, ending: str) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    from modelyard_plugins.datasets.image_folder import read_picture

    buffer = io.BytesIO()
    image.effect_noise((24, 16), 50).convert("RGB").save(buffer, ending)
    path = tmp_path / f"a.{ending.lower()}"
    assert fuzz(lambda path: read_picture(path, path.read_bytes(), (8, 8), 3), buffer.getvalue(), path) == {True, False}


def test_labels_of_cifar10(tmp_path: Path) -> None:
    from modelyard_plugins.support.data.cifar10_files import _labels

    assert True in fuzz(lambda path: _labels(path, 20), json.dumps(list(range(10)) * 2).encode(), tmp_path / "a.json")


@pytest.mark.parametrize("name", ["dataset.json", "model.json"])
def test_facts(tmp_path: Path, name: str) -> None:
    facts = model_json(
        input_shape=[4], class_names=["a", "b"], value_range=[0, 255], preprocessing={"scale": 0.5},
        splits={"train": {"samples": 2, "per_class": [1, 1]}}, format="toy", file="model.toy",
    )  # fmt: skip
    (tmp_path / "model.toy").touch()
    write_json(tmp_path / name, facts)
    kind = Dataset if name == "dataset.json" else Model
    assert fuzz(lambda path: kind.open(tmp_path), (tmp_path / name).read_bytes(), tmp_path / name) == {True, False}


def test_a_lock_of_packages(tmp_path: Path) -> None:
    from tests.oci.test_lock import lock

    lock().write(tmp_path / "lock.json")
    assert True in fuzz(Lock.read, (tmp_path / "lock.json").read_bytes(), tmp_path / "lock.json")


def test_a_trace_is_read_or_raises_what_its_readers_expect() -> None:
    """What a remote gives: `Store` and `Remote` take a ValueError for "not taken"."""
    from modelyard.files.manifest import FileEntry, manifest_digest

    outputs = {"a/b": FileEntry("ab" * 32, 3, executable=False)}
    record = Record(stage="train:net", key="cd" * 32, digest=manifest_digest(outputs), outputs=outputs)
    buffer = __import__("msgspec").json.encode(record)
    for dice in rounds(3 * COUNT):
        try:
            found = read_trace(changed(buffer, dice), "cd" * 32)
        except ValueError:
            continue
        assert found.outputs.keys() == outputs.keys(), "the digest holds the names"


def test_packages_and_image_archives(tmp_path: Path) -> None:
    from modelyard.oci.archive import read_image
    from modelyard.oci.deb import control_fields, data_entries
    from modelyard.oci.listing import Listing
    from tests.oci.conftest import write_deb
    from tests.oci.test_archive import docker_save

    def load_deb(path: Path) -> None:
        control_fields(path)
        for _, entry in data_entries(path):
            entry.read() if entry.kind == "file" else None

    def load_image(path: Path) -> None:
        Listing(read_image(path))

    deb = write_deb(tmp_path / "whole.deb", "a", [("./usr", None), ("./usr/x", b"data"), ("./usr/y", "x")])
    assert fuzz(load_deb, deb.read_bytes(), tmp_path / "a.deb") == {True, False}
    image = docker_save(tmp_path / "whole.tar", [[("usr/x", b"data"), ("y", "usr/x")]])
    assert True in fuzz(load_image, image.read_bytes(), tmp_path / "a.tar")
