"""Model files that were changed at random: each is read, or refused in words; nothing in one runs."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from .mutations import changed, changed_zip, read, rounds

COUNT = 150


def outcomes(load: Callable[[Path], object], data: bytes, path: Path, count: int = COUNT) -> set[bool]:
    """Change `data` again and again, and return whether it was read and whether it was refused."""
    found = set()
    for dice in rounds(count):
        path.write_bytes(changed(data, dice))
        found.add(bool(read(load, path)))
    return found


def test_onnx_models(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    from modelyard_plugins.support.onnx.model import load_graph, load_onnx
    from tests.serving.onnx_models import write_onnx

    data = (write_onnx(tmp_path / "whole") / "model.onnx").read_bytes()
    assert outcomes(load_onnx, data, tmp_path / "model.onnx") == {True, False}
    assert outcomes(load_graph, data, tmp_path / "model.onnx") == {True, False}


def test_keras_archives_before_keras_sees_them(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py comes with Keras")
    from modelyard_plugins.support.keras.archive import check_archive
    from tests.plugins.support.keras.test_config import dense, model, operator

    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file["layers/dense/vars/0"] = np.ones((4, 3), np.float32)
    with zipfile.ZipFile(tmp_path / "whole.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(model(dense(), operator("math.add"))))
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", weights.getvalue())

    def check(path: Path) -> None:
        from modelyard.errors import DataError

        try:
            check_archive(path, lambda name: False)
        except DataError:
            raise
        except Exception as exc:  # its callers, which import Keras, tell what HDF5, zipfile and JSON raise in words
            msg = f"{path}: cannot be read: {exc}\n  as load_keras says"
            raise DataError(msg) from exc

    found = set()
    for dice in rounds(2 * COUNT):
        changed_zip(tmp_path / "whole.keras", tmp_path / "model.keras", dice)
        found.add(bool(read(check, tmp_path / "model.keras")))
    assert found == {True, False}


@pytest.mark.tensorflow
def test_keras_models(tmp_path: Path, tensorflow: None) -> None:
    import tf_keras

    from modelyard_plugins.support.keras_files import load_keras, save_keras

    inputs = tf_keras.Input((4,))
    save_keras(tf_keras.Model(inputs, tf_keras.layers.Dense(3)(inputs) + 1), tmp_path / "whole.keras")
    found = set()
    for dice in rounds(COUNT // 3):
        changed_zip(tmp_path / "whole.keras", tmp_path / "model.keras", dice)
        found.add(bool(read(load_keras, tmp_path / "model.keras", 4 << 30)))
    assert found == {True, False}


@pytest.mark.torch
def test_programs_of_torch(tmp_path: Path, torch: None) -> None:
    from torch import nn, zeros

    from modelyard_plugins.support.torch.program import export_program, load_program, save_program

    save_program(
        export_program(nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval(), zeros(2, 4), "net", print),
        tmp_path / "whole.pt2",
    )
    found = set()
    for dice in rounds(COUNT):
        changed_zip(tmp_path / "whole.pt2", tmp_path / "model.pt2", dice)
        found.add(bool(read(load_program, tmp_path / "model.pt2")))
    assert found == {True, False}
