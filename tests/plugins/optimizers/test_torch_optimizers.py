from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest
from tests.plugins.calling import trainer
from tests.plugins.conftest import Bench, Trained

from modelyard.artifacts import Dataset, Model
from modelyard.contexts import OptimizeContext
from modelyard.errors import ConfigError, StageFailed

pytestmark = pytest.mark.torch


class Optimize:
    """Runs a model optimizer on the trained model, or on another, and opens what it wrote; its context is in `last`."""

    last: OptimizeContext

    def __init__(self, trained: Trained, bench: Bench) -> None:
        self._trained, self._bench = trained, bench

    def __call__(self, function: Any, model_format: str, parent: Model | None = None, **params: Any) -> Model:
        self.last = self._bench.optimize(self._trained.dataset, parent or self._trained.model)
        function(self.last, **params)
        return self._bench.open_model(self.last.out, self._trained.dataset, model_format)


@pytest.fixture
def optimize(torch_trained: Trained, bench: Bench) -> Optimize:
    return Optimize(torch_trained, bench)


def weights(model: Model) -> dict[str, np.ndarray]:
    """The weights of a program by what the model's code calls their layer."""
    from modelyard_plugins.support.torch.program import load_program

    state = load_program(model.path).state_dict
    return {
        n.removeprefix("model.").removesuffix(".weight"): t.detach().numpy()
        for n, t in state.items()
        if "bias" not in n
    }


def logits(model: Model, inputs: np.ndarray) -> np.ndarray:
    import torch

    from modelyard_plugins.support.torch.program import load_program

    with torch.no_grad():
        return load_program(model.path).module()(torch.from_numpy(inputs)).numpy()


def accuracy(model: Model, dataset: Any) -> float:
    return float((logits(model, dataset.inputs("test")).argmax(1) == dataset.y("test")).mean())


@pytest.mark.parametrize(("schedule", "sparsity", "batch_size"), [("constant", 0.8, 16), ("polynomial", 0.6, 192)])
def test_every_layer_reaches_the_sparsity(
    torch_trained: Trained, optimize: Optimize, schedule: str, sparsity: float, batch_size: int
) -> None:
    from modelyard_plugins.optimizers.torch_prune import torch_prune

    before = torch_trained.model.path.read_bytes()
    pruned = optimize(torch_prune, "torch", sparsity=sparsity, schedule=schedule, batch_size=batch_size, epochs=1)
    found, parent = weights(pruned), weights(torch_trained.model)
    assert list(found) == list(parent) == ["conv1", "conv2", "dense", "logits"]
    for name, weight in found.items():
        assert weight.shape == parent[name].shape
        assert (weight == 0).mean() == pytest.approx(sparsity, abs=1 / weight.size)
    assert optimize.last.metrics["sparsity"] == pytest.approx(sparsity, abs=0.01)
    assert len(gzip.compress(pruned.path.read_bytes())) < len(gzip.compress(before)) * 0.9
    assert torch_trained.model.path.read_bytes() == before


def test_a_pruned_model_still_works_and_its_zeros_survive_quantization(
    torch_trained: Trained, optimize: Optimize
) -> None:
    from modelyard_plugins.optimizers.torch_prune import torch_prune
    from modelyard_plugins.optimizers.torch_quantize import torch_quantize

    pruned = optimize(torch_prune, "torch", sparsity=0.6, epochs=2)
    assert accuracy(pruned, torch_trained.dataset) > 0.9
    quantized = optimize(torch_quantize, "torch_int8", pruned)
    held = [weight for weight in weights(quantized).values() if weight.dtype == np.int8]
    assert len(held) == 4
    assert sum((weight == 0).sum() for weight in held) >= 0.6 * sum(weight.size for weight in held) - 4


def test_global_pruning_takes_the_smallest_weights_wherever_they_are(
    torch_trained: Trained, optimize: Optimize
) -> None:
    from modelyard_plugins.optimizers.torch_prune import torch_prune

    pruned = optimize(torch_prune, "torch", scope="global", sparsity=0.7, schedule="constant", epochs=1)
    found = weights(pruned)
    zeros = {name: (weight == 0).mean() for name, weight in found.items()}
    whole = sum((weight == 0).sum() for weight in found.values()) / sum(weight.size for weight in found.values())
    assert whole == pytest.approx(0.7, abs=0.001)
    assert max(zeros.values()) - min(zeros.values()) > 0.1, zeros


def test_whole_filters_are_pruned_but_none_of_the_layer_that_answers(
    torch_trained: Trained, optimize: Optimize
) -> None:
    from modelyard_plugins.optimizers.torch_prune import torch_prune

    pruned = optimize(torch_prune, "torch", scope="filters", sparsity=0.5, epochs=1)
    found = weights(pruned)
    for name, filters in (("conv1", 16), ("conv2", 32), ("dense", 64)):
        gone = (found[name].reshape(filters, -1) == 0).all(axis=1)
        assert gone.sum() == filters / 2
        assert (found[name][~gone] != 0).all()
    assert (found["logits"] != 0).all()
    assert set(optimize.last.metrics["sparsity_per_layer"]) == {"conv1", "conv2", "dense"}


def test_skipped_layers_keep_all_their_weights(optimize: Optimize) -> None:
    from modelyard_plugins.optimizers.torch_prune import torch_prune

    found = weights(optimize(torch_prune, "torch", sparsity=0.9, epochs=1, skip=("logits", "conv1")))
    assert (found["logits"] != 0).all()
    assert (found["dense"] == 0).mean() >= 0.89
    assert set(optimize.last.metrics["sparsity_per_layer"]) == {"conv2", "dense"}


def test_a_layer_to_skip_that_is_not_there_is_refused_before_training(optimize: Optimize, bench: Bench) -> None:
    from modelyard_plugins.optimizers.torch_prune import torch_prune

    with pytest.raises(
        ConfigError, match=r"there is no layer 'logit', did you mean 'logits'\?\n  layers: conv1, conv2"
    ):
        optimize(torch_prune, "torch", skip=("logit",))
    assert not bench.told


def test_nothing_left_to_prune_is_refused(optimize: Optimize) -> None:
    from modelyard_plugins.optimizers.torch_prune import torch_prune

    with pytest.raises(ConfigError, match=r"no layer of the model has weights to prune\n  layers: conv1"):
        optimize(torch_prune, "torch", scope="filters", skip=("conv1", "conv2", "dense"))


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 20, 21, 133, 4689])
def test_the_schedule_ends_within_the_steps_that_there_are(steps: int) -> None:
    from modelyard_plugins.support.torch.masks import sparsity_by_step

    for kind in ("polynomial", "constant"):
        updates = sparsity_by_step(kind, 0.5, steps)
        assert list(updates.values()) == sorted(updates.values())
        assert updates[max(updates)] == 0.5
        assert 1 <= min(updates) <= max(updates) <= steps
        assert len(updates) <= 60


def test_fine_tuning_is_pruning_without_the_zeros(torch_trained: Trained, optimize: Optimize) -> None:
    """The baseline sees the same batches in the same order: to prune nothing gives its very bytes."""
    from modelyard_plugins.optimizers.torch_fine_tune import torch_fine_tune
    from modelyard_plugins.optimizers.torch_prune import torch_prune

    tuned = optimize(torch_fine_tune, "torch", epochs=1, batch_size=16)
    assert optimize.last.metrics["train_loss"] < 0.1
    same = optimize(torch_prune, "torch", epochs=1, batch_size=16, sparsity=0.0)
    assert tuned.path.read_bytes() == same.path.read_bytes() != torch_trained.model.path.read_bytes()


def test_quantized_weights_are_int8_and_nothing_else_is_kept(torch_trained: Trained, optimize: Optimize) -> None:
    from modelyard_plugins.optimizers.torch_quantize import torch_quantize

    quantized = optimize(torch_quantize, "torch_int8", calibration_samples=50)
    assert optimize.last.metrics == {"layers_int8": 4, "layers_float32": 0, "calibration_samples": 50}
    held = weights(quantized)
    assert sorted(weight.size for weight in held.values() if weight.dtype == np.int8) == [144, 192, 4608, 32768]
    assert max(weight.size for weight in held.values() if weight.dtype != np.int8) == 64, "scales"
    inputs = torch_trained.dataset.inputs("test")
    exact = logits(torch_trained.model, inputs)
    assert 0 < np.abs(logits(quantized, inputs) - exact).max() < 0.1 * np.abs(exact).max()
    again = optimize(torch_quantize, "torch_int8", calibration_samples=50)
    assert again.path.read_bytes() == quantized.path.read_bytes()


@pytest.fixture
def trained_net(torch: None, stripes_dataset: Dataset, bench: Bench) -> Callable[..., Model]:
    """Train a module that `forward` and some layers make, for an epoch."""
    from torch import nn

    train = trainer("torch")

    class Net(nn.Module):
        def __init__(self, forward: Any, layers: dict[str, Any]) -> None:
            super().__init__()
            self._forward = forward
            for name, layer in layers.items():
                setattr(self, name, layer)

        def forward(self, x: Any) -> Any:
            return self._forward(self, x)

    def make(forward: Any, **layers: Any) -> Model:
        context = bench.train(stripes_dataset, lambda *_: Net(forward, layers))
        train(context, epochs=1)
        return bench.open_model(context.out, stripes_dataset, "torch")

    return make


def test_layers_are_quantized_however_they_are_written(trained_net: Callable[..., Model], optimize: Optimize) -> None:
    """As functions, behind a batch normalization, in a residual block; padding in words is what torchao cannot."""
    from torch import nn
    from torch.nn import functional as F  # noqa: N812 - everybody calls it so

    from modelyard_plugins.optimizers.torch_quantize import torch_quantize

    def forward(net: Any, x: Any) -> Any:
        x = F.relu(F.conv2d(x, net.own, padding=1))
        x = F.relu(net.norm(net.conv(x))) + x
        return F.linear(net.same(x).mean((2, 3)), net.last.weight)

    convolutions = {"conv": nn.Conv2d(4, 4, 3, padding=1), "same": nn.Conv2d(4, 4, 3, padding="same")}
    last, own = nn.Linear(4, 3), nn.Parameter(nn.Conv2d(1, 4, 3).weight.detach().clone())
    model = trained_net(forward, own=own, norm=nn.BatchNorm2d(4), last=last, **convolutions)
    quantized = optimize(torch_quantize, "torch_int8", model)
    assert optimize.last.metrics["layers_int8"] == 3
    assert optimize.last.metrics["layers_float32"] == 1
    assert optimize.last.warnings == ["left in float32: conv2d_2"]
    assert not any("norm" in name for name in weights(quantized)), "it is part of the convolution now"


def test_a_model_without_a_layer_to_quantize_is_refused(trained_net: Callable[..., Model], optimize: Optimize) -> None:
    from torch import nn

    from modelyard_plugins.optimizers.torch_quantize import torch_quantize

    model = trained_net(lambda net, x: net.same(x).mean((2, 3)), same=nn.Conv2d(1, 3, 3, padding="same"))
    with pytest.raises(StageFailed, match=r"no layer was quantized\n  layers: conv2d"):
        optimize(torch_quantize, "torch_int8", model)


class Exported(NamedTuple):
    """A program, as ONNX, and what the export said of it."""

    parent: Model
    model: Model
    metrics: Mapping[str, Any]


@pytest.fixture(scope="module", params=["float", "quantized"])
def exported(
    request: pytest.FixtureRequest, torch_trained: Trained, tmp_path_factory: pytest.TempPathFactory
) -> Exported:
    from modelyard_plugins.optimizers.torch_onnx import torch_onnx
    from modelyard_plugins.optimizers.torch_quantize import torch_quantize

    bench, dataset, parent = Bench(tmp_path_factory.mktemp("exported")), torch_trained.dataset, torch_trained.model
    if request.param == "quantized":
        quantizing = bench.optimize(dataset, parent)
        torch_quantize(quantizing)
        parent = bench.open_model(quantizing.out, dataset, "torch_int8")
    context = bench.optimize(dataset, parent)
    torch_onnx(context)
    return Exported(parent, bench.open_model(context.out, dataset, "onnx"), context.metrics)


def test_onnx_answers_as_the_program_does_for_any_batch(torch_trained: Trained, exported: Exported) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")

    parent, is_float = exported.parent, exported.parent is torch_trained.model
    session = onnxruntime.InferenceSession(str(exported.model.path))
    (given,), (answered,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.shape) == ("input", ["batch", 8, 8, 1])
    assert (answered.name, answered.shape) == ("logits", ["batch", 3])
    inputs = torch_trained.dataset.inputs("test")
    for batch in (1, 2, 48):
        found = session.run(None, {"input": inputs[:batch]})[0]
        right = logits(parent, inputs[:batch])
        # integer kernels may round a tie the other way, which is one step of a scale
        assert np.abs(found - right).max() <= (1e-4 if is_float else 0.05 * np.abs(right).max())
    assert exported.metrics[f"operators_{'float32' if is_float else 'int8'}"] == 4


def test_onnx_is_one_plain_file_the_same_each_time(optimize: Optimize, exported: Exported) -> None:
    onnx = pytest.importorskip("onnx")

    from modelyard_plugins.optimizers.torch_onnx import torch_onnx

    model = exported.model
    assert [p.name for p in model.folder.iterdir() if p.name != "model.json"] == ["model.onnx"]
    data = model.path.read_bytes()
    assert not any(word in data for word in (b".py", b"site-packages", b"stack_trace", b"aten.conv2d"))
    assert onnx.load_from_string(data).opset_import[0].version == 20
    assert optimize(torch_onnx, "onnx", exported.parent).path.read_bytes() == data


def test_onnx_may_be_of_an_older_opset(optimize: Optimize) -> None:
    onnx = pytest.importorskip("onnx")

    from modelyard_plugins.optimizers.torch_onnx import torch_onnx

    older = optimize(torch_onnx, "onnx", opset=18)
    assert onnx.load_from_string(older.path.read_bytes()).opset_import[0].version == 18
