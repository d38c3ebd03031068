"""Numbers and several labels, from a table or arrays to a model that ships; what does not fit a task is told before anything runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.testing import run_doit, write_project
from tests.known import know

pytestmark = pytest.mark.slow

HEAD = """\
[project]
name = "small"
version = "1.0"

[tool.modelyard]
name = "small"
"""
REGRESSION = """
[tool.modelyard.task]
use = "regression"

[tool.modelyard.dataset]
use = "csv"
path = "patients.csv"
target = ["progression"]
normalize = "standard"

[tool.modelyard.model]
use = "net:dense"

[tool.modelyard.train]
epochs = 30
learning_rate = 0.01
validation_fraction = 0.1
"""
INT8 = """
[tool.modelyard.variants]
float32 = ["float32"]
int8 = ["int8"]
pruned = ["prune", "int8"]
qat = ["qat", "int8"]

[tool.modelyard.gates]
min_r2 = 0.3
max_mae_ratio = 1.3
"""
SERVING = """
[tool.modelyard.runtime]
use = "tensorflow-serving"

[tool.modelyard.image]
use = "docker"

[tool.modelyard.variants]
plain = ["saved-model"]
"""
MULTI_LABEL = """
[tool.modelyard.task]
use = "multi-label"

[tool.modelyard.dataset]
use = "arrays"
path = "data.npz"

[tool.modelyard.model]
use = "net:module"

[tool.modelyard.train]
use = "torch"
epochs = 30
learning_rate = 0.01

[tool.modelyard.runtime]
use = "onnxruntime"

[tool.modelyard.variants]
float32 = ["torch-onnx"]
int8 = ["torch-prune", "torch-onnx", "onnx-static"]

[tool.modelyard.gates]
min_f1 = 0.8
"""
NET = '''
def dense(input_shape, classes):
    """Two dense layers."""
    import tf_keras as keras

    layers = keras.layers
    return keras.Sequential([layers.Input(input_shape), layers.Dense(16, "relu"), layers.Dense(classes)])


def module(input_shape, classes, *, inside: bool = True):
    """Two linear layers; the last one may be followed by a sigmoid."""
    from torch import nn

    layers = [nn.Linear(*input_shape, 16), nn.ReLU(), nn.Linear(16, classes)]
    return nn.Sequential(*layers, nn.Sigmoid()) if inside else nn.Sequential(*layers)
'''


def patients() -> str:
    """Return the diabetes data of scikit-learn as a table, the progression in hundreds."""
    from sklearn.datasets import load_diabetes

    found = load_diabetes(scaled=False)
    rows = [[*values, target / 100] for values, target in zip(found.data, found.target, strict=True)]
    return "\n".join(",".join(map(str, row)) for row in [[*found.feature_names, "progression"], *rows])


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project that learns the progression, with variants that train and quantize; built up to the choice."""
    files = {"pyproject.toml": HEAD + REGRESSION + INT8, "net.py": NET, "patients.csv": patients()}
    project = know(write_project(tmp_path_factory.mktemp("regression") / "project", files))
    done = run_doit(project, "select")
    assert done.returncode == 0, done.stdout + done.stderr
    return project


@pytest.fixture
def again(regression: Path, tmp_path: Path) -> Path:
    """Return a copy of that project, for another configuration."""
    return Path(shutil.copytree(regression, tmp_path / "project", symlinks=True))


def facts(folder: Path) -> Any:
    return json.loads((folder / "model.json").read_text())


def figures(project: Path, variant: str) -> dict[str, float]:
    found = json.loads((project / f"artifacts/evaluate/{variant}/evaluation.json").read_text())
    return {one["name"]: one["value"] for one in found["metrics"]}


@pytest.mark.thorough
@pytest.mark.tensorflow
def test_a_regression_is_trained_pruned_and_quantized(regression: Path) -> None:
    plain = figures(regression, "float32")
    assert plain["mae"] < 0.6, "the mean of all is 0.66 off"
    for variant in ("int8", "pruned", "qat"):
        assert figures(regression, variant)["mae"] == pytest.approx(plain["mae"], abs=0.1)
    model = facts(regression / "artifacts/optimize/int8")
    assert (model["task"], model["outputs"]) == (
        "regression",
        [{"name": "prediction", "shape": [1], "labels": ["progression"]}],
    )
    history = json.loads((regression / "artifacts/train/net.dense/history.json").read_text())
    assert history["val_mean_absolute_error"][-1] < 0.7


@pytest.mark.thorough
@pytest.mark.tensorflow
def test_a_saved_model_answers_under_the_name_of_the_data_set(regression: Path, again: Path) -> None:
    (again / "pyproject.toml").write_text(HEAD + REGRESSION + SERVING)
    done = run_doit(again, "evaluate")
    assert done.returncode == 0, done.stdout + done.stderr
    assert figures(again, "plain")["mae"] == pytest.approx(figures(regression, "float32")["mae"], abs=1e-4)


@pytest.mark.thorough
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[tool.modelyard.train]", '[tool.modelyard.train]\nclass_weights = "balanced"'), "there are none to weigh"),
        (('use = "regression"', 'use = "embedding"'), "key 'loss' is missing: the task has none to train with"),
        (('target = ["progression"]', ""), "train_y: there is none\n"),
    ],
)
def test_what_does_not_fit_a_regression_is_told(again: Path, change: tuple[str, str], message: str) -> None:
    (again / "pyproject.toml").write_text(
        (HEAD + REGRESSION + INT8).replace(*change).partition("[tool.modelyard.gates]")[0]
    )
    done = run_doit(again, "dataset")
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.thorough
@pytest.mark.torch
@pytest.mark.parametrize("inside", [True, False])
def test_several_labels_are_learnt_with_a_sigmoid_inside_or_behind(tmp_path: Path, inside: bool) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 6)).astype(np.float32)
    y = (x[:, :3] + x[:, 3:] > 0).astype(np.float32)
    text = (HEAD + MULTI_LABEL).replace('"net:module"', f'"net:module"\ninside = {str(inside).lower()}')
    project = know(write_project(tmp_path / "project", {"pyproject.toml": text, "net.py": NET}))
    np.savez(project / "data.npz", x=x, y=y)
    done = run_doit(project, "select")
    assert done.returncode == 0, done.stdout + done.stderr
    for variant in ("float32", "int8"):
        (answer,) = facts(project / f"artifacts/optimize/{variant}")["outputs"]
        assert (answer["activation"], answer.get("inside", False), answer["labels"]) == ("sigmoid", inside, [*"012"])
        assert figures(project, variant)["f1"] > 0.8
    history = json.loads((project / "artifacts/train/net.module/history.json").read_text())
    assert history["binary_accuracy"][-1] > 0.8
