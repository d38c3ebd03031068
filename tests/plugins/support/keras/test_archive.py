from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.errors import DataError
from modelyard_plugins.support.keras.archive import check_archive, normalize_archive


def archive(path: Any, *, date: str, addresses: tuple[int, int], backwards: bool = False) -> None:
    """Write what Keras writes, as far as it differs from run to run."""
    one, other = addresses
    config = {"layers": [{"shared_object_id": one}, {"dtype": {"shared_object_id": other}}, {"shared_object_id": one}]}
    parts = {
        "metadata.json": json.dumps({"keras_version": "3.15.1", "date_saved": date}),
        "config.json": json.dumps(config),
        "model.weights.h5": "weights",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if backwards else zipfile.ZIP_STORED) as target:
        for name in sorted(parts, reverse=backwards):
            target.writestr(zipfile.ZipInfo(name, (2026, 1, 1 + backwards, 0, 0, 0)), parts[name])


def test_times_addresses_and_order_are_taken_out_and_all_else_stays(tmp_path: Path) -> None:
    archive(tmp_path / "a", date="2026-01-01@10:00:00", addresses=(140455012136208, 7))
    archive(tmp_path / "b", date="2026-02-02@11:11:11", addresses=(5, 139990000000000), backwards=True)
    for name in "ab":
        normalize_archive(tmp_path / name, tmp_path / f"{name}.keras")

    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.keras") as found:
        layers = json.loads(found.read("config.json"))["layers"]
        assert layers == [{"shared_object_id": 1}, {"dtype": {"shared_object_id": 2}}, {"shared_object_id": 1}]
        assert json.loads(found.read("metadata.json"))["keras_version"] == "3.15.1"
        assert found.read("model.weights.h5") == b"weights"


def test_objects_that_are_not_shared_stay_apart(tmp_path: Path) -> None:
    archive(tmp_path / "a", date="", addresses=(8, 8))
    archive(tmp_path / "b", date="", addresses=(8, 9))
    for name in "ab":
        normalize_archive(tmp_path / name, tmp_path / f"{name}.keras")

    assert (tmp_path / "a.keras").read_bytes() != (tmp_path / "b.keras").read_bytes()


def weights(change: Callable[..., Any] = lambda file: None) -> bytes:
    """HDF5 as Keras writes it, but for what `change(file)` does."""
    h5py = pytest.importorskip("h5py", reason="h5py comes with Keras")
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["layers/dense/vars/0"] = np.ones((4, 3), np.float32)
        file.create_group("vars")
        change(file)
    return buffer.getvalue()


def write(path: Path, parts: dict[str, bytes], packed: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", packed) as target:
        for name, data in parts.items():
            target.writestr(name, data)
    return path


def parts(**changes: bytes) -> dict[str, bytes]:
    return {"config.json": b"{}", "metadata.json": b"{}", "model.weights.h5": weights()} | changes


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        check_archive(path, lambda name: False)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n  " in str(caught.value)
    return str(caught.value)


def test_an_archive_as_keras_writes_it_passes(tmp_path: Path) -> None:
    check_archive(write(tmp_path / "model.keras", parts()), lambda name: False)
    check_archive(
        write(tmp_path / "model.keras", parts(**{"assets/layers/a/vocabulary.txt": b"a"})), lambda name: False
    )


def test_hdf5_by_the_name_of_an_archive_is_refused(tmp_path: Path) -> None:
    """tf_keras loads it with Lambda layers and all."""
    (tmp_path / "model.keras").write_bytes(weights())
    assert "is no .keras archive" in refusal(tmp_path / "model.keras")
    data = write(tmp_path / "a", parts()).read_bytes()
    (tmp_path / "model.keras").write_bytes(weights() + data)
    assert "is no .keras archive" in refusal(tmp_path / "model.keras"), "both at once is neither"
    assert "is no .keras archive" in refusal(write(tmp_path / "model.h5", parts()))


@pytest.mark.parametrize(
    "name", ["extra.py", "../config.json", "/etc/passwd", "assets/../../x", "assets\\..\\x", "a/config.json"]
)
def test_another_entry_is_refused(tmp_path: Path, name: str) -> None:
    assert "a .keras archive has config.json, metadata.json" in refusal(
        write(tmp_path / "model.keras", parts(**{name: b""}))
    )


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_missing_entry_and_one_that_is_there_twice_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "model.keras", {"config.json": b"{}", "metadata.json": b"{}"})
    assert "holds config.json, metadata.json" in refusal(path)
    write(path, parts())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", b"{}")
    assert "holds config.json, config.json, metadata.json" in refusal(path)


def test_weights_in_another_file_are_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py comes with Keras")
    (tmp_path / "raw").write_bytes(bytes(48))

    def stored_elsewhere(file: Any) -> None:
        file.create_dataset("w", (4, 3), np.float32, external=[(str(tmp_path / "raw"), 0, 48)])

    def put_together(file: Any) -> None:
        layout = h5py.VirtualLayout((4, 3), np.float32)
        layout[...] = h5py.VirtualSource("other.h5", "w", (4, 3))
        file.create_virtual_dataset("w", layout)

    changes = {
        "in another place": lambda file: file.__setitem__("w", h5py.ExternalLink("other.h5", "/w")),
        "at 'w' are in another place": lambda file: file.__setitem__("w", h5py.SoftLink("/layers")),
        "in another file": stored_elsewhere,
        "'/w' are in another file": put_together,
    }
    for words, change in changes.items():
        path = write(tmp_path / "model.keras", parts(**{"model.weights.h5": weights(change)}))
        assert words in refusal(path)


def test_memory_is_bounded_before_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sparse(file: Any) -> None:
        file.create_dataset("w", (10**6, 10**7), np.float32, chunks=(1, 1000))

    path = write(tmp_path / "model.keras", parts(**{"model.weights.h5": weights(sparse)}))
    assert "take 40,000,000,000,000 bytes, but the file has 0" in refusal(path)
    bomb = weights(lambda file: file.create_dataset("w", data=np.zeros(1 << 20, np.uint8)))
    write(path, parts(**{"model.weights.h5": bomb}), zipfile.ZIP_DEFLATED)
    monkeypatch.setattr("modelyard_plugins.support.memory.memory_bytes", lambda: 1 << 20)
    assert "unpacks to" in refusal(path)
