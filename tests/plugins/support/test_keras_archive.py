from __future__ import annotations

import json
import zipfile

from modelyard_plugins.support.keras_archive import normalize_archive


def archive(path, *, date: str, addresses: tuple[int, int], backwards: bool = False) -> None:
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


def test_times_addresses_and_order_are_taken_out_and_all_else_stays(tmp_path):
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


def test_objects_that_are_not_shared_stay_apart(tmp_path):
    archive(tmp_path / "a", date="", addresses=(8, 8))
    archive(tmp_path / "b", date="", addresses=(8, 9))
    for name in "ab":
        normalize_archive(tmp_path / name, tmp_path / f"{name}.keras")

    assert (tmp_path / "a.keras").read_bytes() != (tmp_path / "b.keras").read_bytes()
