"""PyTorch to LiteRT, by litert-torch. The extra brings jax and transformers, so that `test` does not have it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.plugins.conftest import Bench, Trained

from modelyard.artifacts import Model
from modelyard.errors import StageFailed
from modelyard.serving.backends.litert import open_model
from modelyard.testing import check_optimizer, measure, write_small_project

pytestmark = [pytest.mark.torch, pytest.mark.slow]
pytest.importorskip("litert_torch", reason="needs the extra 'torch-litert', which `test` does not have")

Convert = Callable[..., Model]


@pytest.fixture
def convert(torch_trained: Trained, bench: Bench) -> Convert:
    """Convert the trained model, or another, and open what came of it."""
    from modelyard_plugins.optimizers.torch_litert import torch_litert

    def run(parent: Model | None = None) -> Model:
        context = bench.optimize(torch_trained.dataset, parent or torch_trained.model)
        torch_litert(context)
        assert context.metrics == {"size_bytes": (context.out / "model.tflite").stat().st_size}
        return bench.open_model(context.out, torch_trained.dataset, "tflite")

    return run


@pytest.fixture
def model_of(torch_trained: Trained, bench: Bench) -> Callable[[Any], Model]:
    """Write a module, with the weights that it begins with, as the trainer does."""
    from torch import zeros

    from modelyard_plugins.support.torch.layout import taking_samples
    from modelyard_plugins.support.torch.program import export_program, save_program

    def write(module: Any) -> Model:
        shape = torch_trained.dataset.facts.input_shape
        context = bench.stage()
        takes = taking_samples(module.eval(), shape, "channels-first").eval()
        save_program(export_program(takes, zeros(2, *shape), "module", print), context.out / "model.pt2")
        return bench.open_model(context.out, torch_trained.dataset, "torch")

    return write


def torch_logits(model: Model, inputs: np.ndarray) -> np.ndarray:
    import torch

    from modelyard_plugins.support.torch.program import load_program

    with torch.no_grad():
        return load_program(model.path).module()(torch.from_numpy(inputs)).numpy()


def litert_logits(model: Model, inputs: np.ndarray) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(model.path))
    interpreter.allocate_tensors()
    (given,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    rows = []
    for sample in inputs:
        interpreter.set_tensor(given["index"], sample[None])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(answer["index"])[0].copy())
    return np.array(rows)


def test_the_logits_are_pytorchs_and_the_server_answers_batches(torch_trained: Trained, convert: Convert) -> None:
    dataset, converted = torch_trained.dataset, convert()
    expected = torch_logits(torch_trained.model, dataset.inputs("test"))
    np.testing.assert_allclose(litert_logits(converted, dataset.inputs("test")), expected, atol=1e-4)
    predicted = open_model(converted.path.parent).predict(dataset.x("test")[:37])
    exponents = np.exp(expected[:37] - expected[:37].max(1, keepdims=True))
    np.testing.assert_allclose(predicted, exponents / exponents.sum(1, keepdims=True), atol=1e-5)
    assert (predicted.argmax(1) == dataset.y("test")[:37]).mean() > 0.9


def test_the_same_model_is_the_same_bytes_and_names_no_path(convert: Convert, tmp_path: Path) -> None:
    first, second = convert().path.read_bytes(), convert().path.read_bytes()
    assert first == second
    assert not any(path in first for path in (b"/home/", b"/tmp/", b"site-packages"))


def test_layers_of_other_kinds_answer_as_in_pytorch(
    torch_trained: Trained, convert: Convert, model_of: Callable[[Any], Model]
) -> None:
    import torch
    from torch import nn

    class Mixed(nn.Module):
        """What digits-cnn-torch has not: batch normalization, depthwise, average pooling, a view, a skip."""

        def __init__(self, classes: int) -> None:
            super().__init__()
            self.first, self.norm = nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6)
            self.depthwise = nn.Conv2d(6, 6, 3, padding=1, groups=6)
            self.last = nn.Linear(6, classes)

        def forward(self, x: Any) -> Any:
            x = torch.relu(self.norm(self.first(x)))
            x = nn.functional.hardswish(x + self.depthwise(x))
            return self.last(nn.functional.adaptive_avg_pool2d(x, 1).view(x.size(0), -1))

    torch.manual_seed(0)
    inputs = torch_trained.dataset.inputs("test")[:20]
    parent = model_of(Mixed(len(torch_trained.dataset.facts.class_names)))
    np.testing.assert_allclose(litert_logits(convert(parent), inputs), torch_logits(parent, inputs), atol=1e-4)


def test_what_litert_cannot_run_is_told_in_words_and_leaves_no_file(
    convert: Convert, model_of: Callable[[Any], Model], bench: Bench
) -> None:
    import torch
    from torch import nn

    class Strange(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(8, 3)

        def forward(self, x: Any) -> Any:
            return self.last(torch.linalg.svdvals(x[:, 0]))

    with pytest.raises(StageFailed, match=r"model\.pt2: cannot be converted to LiteRT: .*\n .*torch-onnx"):
        convert(model_of(Strange()))
    assert list(bench.folder.rglob("*.tflite")) == []


PYPROJECT = """\
[tool.modelyard]
name = "small"

[tool.modelyard.dataset]
use = "arrays"
path = "data.npz"

[tool.modelyard.model]
use = "digits-cnn-torch"
filters = 4
dense_units = 16

[tool.modelyard.train]
use = "torch"
epochs = 12
learning_rate = 0.003

[tool.modelyard.runtime]
use = "litert"

[tool.modelyard.variants]
float32 = ["torch-litert"]
"""


def test_it_keeps_the_contract_and_edge_quantize_takes_what_it_makes(tmp_path: Path) -> None:
    project = write_small_project(tmp_path / "project", {"pyproject.toml": PYPROJECT})
    converted = check_optimizer("torch-litert", project=project).evaluation
    assert converted.metric("accuracy").value > 0.9
    quantized = measure(project, ["torch-litert", {"use": "edge-quantize", "recipe": "static_wi8_ai8"}])
    assert quantized.metric("accuracy").value > 0.9
    assert quantized.gzip_bytes < converted.gzip_bytes
