"""Keras 3 from data set to a checked image with ONNX Runtime, and its model optimizers by the contract."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.testing import check_optimizer, run_doit, small_arrays, write_project

pytestmark = [pytest.mark.thorough, pytest.mark.slow, pytest.mark.tensorflow, pytest.mark.network]
NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent.sock"}

PYPROJECT = """\
[project]
name = "small"
version = "1.0"

[tool.modelyard]
name = "small"

[tool.modelyard.dataset]
use = "arrays"
path = "data.npz"

[tool.modelyard.model]
use = "guide-cnn-keras"
dense_units = 16

[tool.modelyard.train]
use = "keras"
epochs = 8

[tool.modelyard.runtime]
use = "onnxruntime"

[tool.modelyard.variants]
float32 = ["keras-onnx"]
int8 = ["keras-onnx", "onnx-static"]
dense-int8 = ["keras-quantize", "keras-onnx"]

[tool.modelyard.gates]
min_accuracy = 0.9

[tool.modelyard.targets.compose]
"""


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the project, built without an engine."""
    project = write_project(tmp_path_factory.mktemp("keras") / "project", {"pyproject.toml": PYPROJECT})
    np.savez(project / "data.npz", **small_arrays(shape=(12, 12, 1)))  # type: ignore[arg-type]
    done = run_doit(project, env=NO_ENGINE)
    assert done.returncode == 0, done.stdout + done.stderr
    return project


@pytest.fixture(scope="module")
def litert_road(road: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the same project with the runtime litert; its training comes from the store."""
    project = Path(shutil.copytree(road, tmp_path_factory.mktemp("litert") / "project", symlinks=True))
    text = PYPROJECT.replace('"onnxruntime"', '"litert"').partition("[tool.modelyard.variants]")[0]
    (project / "pyproject.toml").write_text(text + '[tool.modelyard.variants]\nfloat32 = ["keras-litert"]\n')
    return project


def test_the_image_answers_as_the_evaluated_model(road: Path) -> None:
    record = json.loads((road / "artifacts/check/small/stage.json").read_text())
    selected = json.loads((road / "artifacts/select/small/model/model.json").read_text())

    assert record["metrics"]["ran_in"] == "image files"
    assert record["metrics"]["largest_difference"] <= 1e-5
    assert (selected["format"], selected["variant"]) == ("onnx", "int8")
    assert selected["metrics"]["accuracy"] > 0.9


NET = """\
import keras


@keras.saving.register_keras_serializable("road")
class Scale(keras.layers.Layer):
    def call(self, pixels):
        return pixels * 2


def build(input_shape, classes):
    return keras.Sequential([keras.Input(input_shape), Scale(), keras.layers.Flatten(), keras.layers.Dense(classes)])
"""


def test_a_layer_of_the_projects_own_is_found_behind_the_training_and_counts_there(road: Path, tmp_path: Path) -> None:
    text = PYPROJECT.replace("guide-cnn-keras", "net:build").replace("dense_units = 16\n", "")
    project = write_project(tmp_path / "project", {"pyproject.toml": text, "net.py": NET})
    shutil.copy(road / "data.npz", project)
    done = run_doit(project, "train.epochs=1", "optimize:float32", env=NO_ENGINE)
    assert "optimize:float32: built" in done.stdout, done.stdout + done.stderr

    (project / "net.py").write_text(NET.replace("pixels * 2", "pixels * 3"))
    why = run_doit(project, "train.epochs=1", "why", "optimize:float32", env=NO_ENGINE)
    assert "code net.py: Scale changed" in why.stdout, why.stdout + why.stderr


def test_what_keras_leaves_in_float32_stands_in_the_table(road: Path) -> None:
    table = (road / "artifacts/select/small/table.md").read_text()

    assert "dense-int8: warning: Keras cannot quantize conv1 (Conv2D), conv2 (Conv2D): left in float32" in table


def test_a_second_run_does_nothing(road: Path) -> None:
    done = run_doit(road, env=NO_ENGINE)

    assert done.stdout.splitlines()[-1].startswith("built 0, restored 0"), done.stdout


def test_the_exports_and_the_quantization_keep_the_contract(road: Path) -> None:
    assert check_optimizer("keras-onnx", project=road).evaluation.metric("accuracy").value > 0.9
    refused: list[dict[str, Any]] = [{"skip": ["nope"]}, {"mode": "int2"}]
    assert check_optimizer("keras-quantize", project=road, refuses=refused).evaluation.metric("accuracy").value > 0.9


def test_the_export_to_litert_keeps_the_contract(litert_road: Path) -> None:
    assert check_optimizer("keras-litert", project=litert_road).evaluation.metric("accuracy").value > 0.9


def test_the_export_to_a_saved_model_keeps_the_contract(road: Path, tmp_path: Path) -> None:
    project = Path(shutil.copytree(road, tmp_path / "project", symlinks=True))
    text = PYPROJECT.replace('"onnxruntime"', '"tensorflow-serving"').partition("[tool.modelyard.variants]")[0]
    (project / "pyproject.toml").write_text(
        f'{text}[tool.modelyard.image]\nuse = "docker"\n[tool.modelyard.variants]\nfloat32 = ["keras-saved-model"]\n'
    )

    assert check_optimizer("keras-saved-model", project=project).evaluation.metric("accuracy").value > 0.9


def test_a_model_that_keras_quantized_cannot_become_litert(litert_road: Path) -> None:
    done = run_doit(litert_road, 'variants.float32=["keras-quantize", "keras-litert"]', "list")

    assert done.returncode != 0
    assert "float32: 'keras-quantize' gives keras_quantized, but keras-litert takes keras" in done.stdout + done.stderr
