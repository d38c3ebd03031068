"""From a project's own torch.nn.Module to a checked image with ONNX Runtime."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import PlanError
from modelyard.project.load import load
from modelyard.testing import check_optimizer, run_doit, write_small_project

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
use = "net:build"

[tool.modelyard.train]
use = "torch"
epochs = 12
learning_rate = 0.003

[tool.modelyard.runtime]
use = "onnxruntime"

[tool.modelyard.variants]
float32 = ["torch-onnx"]
int8 = ["torch-quantize", "torch-onnx"]
pruned-int8 = [{ use = "torch-prune", sparsity = 0.5, epochs = 1 }, "torch-onnx", "onnx-static"]

[tool.modelyard.gates]
max_accuracy_drop = 0.1

[tool.modelyard.select]
rule = "pruned-int8"

[tool.modelyard.targets.compose]
"""

NET = '''\
"""A network of the project's own."""

import torch
from torch import nn


class Net(nn.Module):
    """A convolution with batch normalization, and a linear layer."""

    def __init__(self, channels, height, width, classes, filters):
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, 3, padding=1)
        self.norm = nn.BatchNorm2d(filters)
        self.drop = nn.Dropout(0.1)
        self.fc = nn.Linear(filters * (height // 2) * (width // 2), classes)

    def forward(self, x):
        x = torch.max_pool2d(torch.relu(self.norm(self.conv(x))), 2)
        return self.fc(self.drop(x.view(x.size(0), -1)))


def build(input_shape, classes, *, width: int = 8):
    """Build it."""
    return Net(*input_shape, classes, width)
'''


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the project, not built; its plan needs no PyTorch."""
    folder = tmp_path_factory.mktemp("torch") / "project"
    return write_small_project(folder, {"pyproject.toml": PYPROJECT, "net.py": NET})


@pytest.fixture(scope="module")
def road(new: Path) -> Path:
    """Return the project with every variant measured and one chosen."""
    pytest.importorskip("torch")
    done = run_doit(new, "select")
    assert done.returncode == 0, done.stdout + done.stderr
    return new


def record(project: Path, stage: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project / "artifacts" / stage / "stage.json").read_text())
    return found


def test_a_chain_of_two_frameworks_is_refused_when_the_project_is_loaded(new: Path) -> None:
    message = r"float32: the trainer gives torch, but int8 takes tf_keras.*\n .*those that take torch: .*torch-onnx"
    with pytest.raises(PlanError, match=message):
        load(new, {"variants.float32": '["int8"]'})
    message = r"'torch-quantize' gives torch_int8, but torch-prune takes torch\n"
    with pytest.raises(PlanError, match=message):
        load(new, {"variants.float32": '["torch-quantize", "torch-prune", "torch-onnx"]'})
    with pytest.raises(PlanError, match=r"gives torch, but onnxruntime \(the runtime\) takes onnx\n .*: torch-onnx"):
        load(new, {"variants.float32": "[]"})
    with pytest.raises(PlanError, match=r"'torch-litert' gives tflite, but onnxruntime .*\n .*runtimes .*: litert"):
        load(new, {"variants.float32": '["torch-litert"]'})
    with pytest.raises(PlanError, match=r"'torch-quantize' gives torch_int8, but torch-litert takes torch\n"):
        load(new, {"variants.float32": '["torch-quantize", "torch-litert"]', "runtime.use": "litert"})


def test_a_model_of_the_other_framework_is_refused(new: Path) -> None:
    with pytest.raises(PlanError, match=r"trains torch models, but 'guide-cnn' is a tf_keras model\n.*tensorflow"):
        load(new, {"model.use": "guide-cnn"})


def test_the_pruned_variant_is_compared_with_a_baseline_that_trained_as_long(new: Path) -> None:
    plan = load(new).plan
    twins = [s for s in plan.of_kind("optimize") if s.uses["optimizer"].component.name == "torch-fine-tune"]
    assert [twin.uses["optimizer"].params["epochs"] for twin in twins] == [1]


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.torch
def test_every_variant_is_measured_as_it_ships(road: Path) -> None:
    sizes = {}
    for variant in ("float32", "int8", "pruned-int8"):
        evaluation = json.loads((road / f"artifacts/evaluate/{variant}/evaluation.json").read_text())
        assert evaluation["accuracy"] > 0.9, variant
        sizes[variant] = evaluation["gzip_bytes"]
    assert sizes["int8"] < sizes["float32"]
    assert record(road, "optimize/int8")["metrics"]["operators_float32"] == 0


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.torch
def test_only_what_depends_on_an_edit_is_built_again(road: Path) -> None:
    again = run_doit(road, "select")
    assert again.stdout.splitlines()[-1].startswith("built 0, restored 0"), again.stdout
    net = road / "net.py"
    net.write_text(NET.replace('"""Build it."""', '"""Build it anew."""  # a comment'))
    assert run_doit(road, "select").stdout.splitlines()[-1].startswith("built 0"), "a comment retrains nothing"
    net.write_text(NET.replace("nn.Dropout(0.1)", "nn.Dropout(0.2)"))
    assert "run train:net.build" in " ".join(run_doit(road, "list", "--all", "--status").stdout.split())
    net.write_text(NET)


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "refuses"),
    [("torch-prune", [{"skip": ["nope"]}, {"scope": "all"}]), ("torch-quantize", []), ("torch-onnx", [{"opset": 11}])],
)
def test_the_model_optimizers_keep_the_contract(road: Path, name: str, refuses: list[dict[str, Any]]) -> None:
    assert check_optimizer(name, project=road, refuses=refuses).evaluation.metric("accuracy").value > 0.9


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.network
def test_the_image_answers_as_the_evaluated_model_and_holds_no_torch(road: Path) -> None:
    done = run_doit(road, env=NO_ENGINE)
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = record(road, "check/small")["metrics"]
    assert metrics["ran_in"] == "image files"
    assert metrics["largest_difference"] <= 1e-5
    packages = json.loads((road / "artifacts/image/small/sbom.spdx.json").read_text())["packages"]
    names = {package["name"] for package in packages}
    assert {"onnxruntime", "torch"} & names == {"onnxruntime"}
