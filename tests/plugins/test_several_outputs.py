"""Networks of several outputs, from training through every conversion: names bind them, whatever their order.

`sign` and `far` have one shape, and say different things of a sample: a model whose outputs were swapped on the way would
answer both no better than by chance. `sum` is a number.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.plugins import calling
from tests.plugins.chains import FORMATS, FRAMEWORKS, Chain, component, keras_of
from tests.plugins.conftest import Bench, no_progress
from tests.shared import array

from modelyard.artifacts import Dataset, FileFacts, Model, Splits, format_file
from modelyard.errors import PluginError, StageFailed
from modelyard.files.json import write_json
from modelyard.stages.dataset import write_dataset
from modelyard.stages.several import Several
from modelyard.stages.signature_check import misfit
from modelyard.tensors import Loss
from modelyard_plugins.formats.known import modelyard_read_model_file
from modelyard_plugins.support.own_server import OwnServer
from modelyard_plugins.tasks.classification import Classification
from modelyard_plugins.tasks.embedding import Embedding
from modelyard_plugins.tasks.regression import Regression

ONE = {"epochs": 1}
CHAINS = [
    Chain("tensorflow", (("prune", ONE), ("cluster", ONE), ("fine_tune", ONE), ("float32", {})), "litert"),
    Chain("tensorflow", (("qat", ONE), ("int8", {})), "litert"),
    Chain("tensorflow", (("tf_keras_onnx", {}), ("onnx_static", {})), "onnxruntime"),
    Chain("tensorflow", (("saved_model", {}),), "tensorflow_serving"),
    Chain("keras", (("keras_litert", {}),), "litert"),
    Chain("keras", (("keras_quantize", {}), ("keras_onnx", {})), "onnxruntime"),
    Chain("keras", (("keras_saved_model", {}),), "tensorflow_serving"),
    Chain("torch", (("torch_fine_tune", ONE), ("torch_onnx", {}), ("onnx_dynamic", {})), "onnxruntime"),
    Chain("torch", (("torch_prune", ONE), ("torch_quantize", {}), ("torch_onnx", {})), "onnxruntime"),
]
LOSSES: dict[str, Loss] = {"sign": "cross-entropy", "far": "cross-entropy", "sum": "squared-error", "vector": ""}
WEIGHTS = {"sign": 1.0, "far": 2.0, "sum": 0.5, "vector": 0.0}
TASK = Several({"sign": Classification(), "far": Classification(), "sum": Regression(), "vector": Embedding(3)})


def samples(count: int, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    x = np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)
    sign, far = x[:, 0] > 0, np.abs(x[:, 1]) > 0.7
    return x, {"sign": sign.astype(int), "far": far.astype(int), "sum": x.sum(axis=1) / 2}


@pytest.fixture(scope="session")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("heads")
    names = {"sign": ("minus", "plus"), "far": ("near", "far")}
    splits = Splits(*samples(600, 0), *samples(100, 1), names)
    write_dataset(splits, folder, TASK, "+".join(LOSSES), "", losses=LOSSES, normalize="none", progress=no_progress)
    return Dataset.open(folder)


def keras_network(keras: Any) -> Callable[..., Any]:
    """Return what builds a network whose outputs are in another order than the project's, one under another layer's name."""

    def build(input_shape: tuple[int, ...], numbers: dict[str, int]) -> Any:
        assert numbers == {"sign": 2, "far": 2, "sum": 1}
        layers = keras.layers
        taken = layers.Input(input_shape)
        hidden = layers.Dense(128, "relu", name="vector")(taken)
        far = layers.Dense(numbers["far"], "softmax", name="how_far")(hidden)
        added, sign = (layers.Dense(numbers[name], name=name)(hidden) for name in ("sum", "sign"))
        return keras.Model(taken, {"far": far, "sum": added, "vector": hidden, "sign": sign})

    return build


def torch_network() -> Callable[..., Any]:
    from torch import nn

    class Net(nn.Module):
        def __init__(self, shape: tuple[int, ...], numbers: dict[str, int]) -> None:
            super().__init__()
            self.hidden = nn.Linear(shape[0], 128)
            self.ends = nn.ModuleDict({name: nn.Linear(128, width) for name, width in reversed(numbers.items())})

        def forward(self, x: Any) -> Any:
            hidden = self.hidden(x).relu()
            answers = {name: end(hidden) for name, end in self.ends.items()}
            return {**answers, "far": answers["far"].softmax(-1), "more": hidden, "vector": hidden}

    return Net


def network(trainer: str) -> Callable[..., Any]:
    return torch_network() if trainer == "torch" else keras_network(keras_of(trainer))


def trained(bench: Bench, dataset: Dataset, trainer: str, build: Callable[..., Any], **params: Any) -> Model:
    context = msgspec.structs.replace(bench.train(dataset, build), loss_weights=WEIGHTS)
    told = calling.trainer(trainer)(context, **{"epochs": 12, "learning_rate": 0.02, "batch_size": 16, **params})
    return written(context.out, told or context.facts, FORMATS[trainer])


def written(folder: Any, facts: Any, form: str) -> Model:
    """Write `model.json` as the stage does, with what the file shows, and open the model."""
    model = Model(folder, msgspec.structs.replace(facts, format=form, file=format_file(form)))
    shown = modelyard_read_model_file(model) or FileFacts()
    assert shown.signature is None or not misfit(shown.signature, model.facts)
    known = model.facts.each_ending_in(shown.activations)
    sized = tuple(msgspec.structs.replace(one, shape=(128,)) if one.name == "vector" else one for one in known.outputs)
    write_json(folder / "model.json", msgspec.structs.replace(known, outputs=sized))
    return Model.open(folder)


@pytest.fixture(scope="session")
def trained_by(
    heads: Dataset, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[[str], Model]:
    """Return a function that trains with a trainer, once."""
    models: dict[str, Model] = {}

    def train(trainer: str) -> Model:
        request.getfixturevalue("torch" if trainer == "torch" else "tensorflow")
        if trainer not in models:
            models[trainer] = trained(Bench(tmp_path_factory.mktemp(trainer)), heads, trainer, network(trainer))
        return models[trainer]

    return train


def optimized(bench: Bench, dataset: Dataset, model: Model, name: str, params: dict[str, Any]) -> Model:
    context = msgspec.structs.replace(bench.optimize(dataset, model), loss_weights=WEIGHTS)
    told = getattr(component(f"optimizers.{name}"), name)(context, **params)
    return written(context.out, told or model.facts, FORMATS[name])


def check_answers(model: Model, runtime: str, dataset: Dataset) -> None:
    opener = component(f"runtimes.{runtime}")
    # the number of TensorFlow's threads can be set once in a process
    if runtime == "tensorflow_serving":
        predictor = opener._SavedModel(model)
    else:
        predictor = getattr(opener, runtime)(model.folder, params=OwnServer())
    answers, truth = predictor.run(dataset.raw("test")), array(dataset.y("test"))
    assert answers["vector"].shape == (100, 128)
    for name in ("sign", "far"):
        np.testing.assert_allclose(answers[name].sum(axis=1), 1, atol=0.02)
        assert (answers[name].argmax(axis=1) == truth[name]).mean() > 0.85, name
    assert np.abs(answers["sum"] - truth["sum"]).mean() < 0.25


def _marks(chain: Chain) -> list[pytest.MarkDecorator]:
    """Return the marks of a chain: one that takes little time is tried in every run."""
    framework = pytest.mark.torch if chain.trainer == "torch" else pytest.mark.tensorflow
    usual = {"torch_prune"} & {name for name, _ in chain.steps}
    return [framework] if usual else [framework, pytest.mark.thorough]


@pytest.mark.parametrize(
    "chain",
    [pytest.param(one, id=one.id, marks=_marks(one)) for one in CHAINS],
)
def test_a_network_of_several_outputs_is_trained_converted_and_asked_by_name(
    chain: Chain, trained_by: Callable[[str], Model], heads: Dataset, bench: Bench
) -> None:
    model = trained_by(chain.trainer)
    for name, params in chain.steps:
        model = optimized(bench, heads, model, name, params)
    check_answers(model, chain.runtime, heads)


@pytest.mark.parametrize("trainer", FRAMEWORKS)
def test_each_output_tells_how_it_is_learnt_and_the_same_training_is_the_same_bytes(
    trainer: str, trained_by: Callable[[str], Model], heads: Dataset, bench: Bench
) -> None:
    trained_by(trainer)  # and its framework is there
    options = {"epochs": 3, "class_weights": "balanced", "validation_fraction": 0.2, "early_stopping": 1}
    models = [trained(bench, heads, trainer, network(trainer), **options) for _ in range(2)]
    history = json.loads((models[0].folder / "history.json").read_text())
    own = {"sign_loss", "sign_accuracy", "far_loss", "far_accuracy", "sum_loss", "sum_mean_absolute_error"}
    assert history.keys() == {"epoch", "loss", "val_loss", *own, *(f"val_{name}" for name in own)}
    sums = [
        sum(history[f"val_{name}_loss"][epoch] * WEIGHTS[name] for name in ("sign", "far", "sum"))
        for epoch in range(len(history["epoch"]))
    ]
    np.testing.assert_allclose(sums, history["val_loss"], rtol=1e-4)
    assert models[0].path.read_bytes() == models[1].path.read_bytes()


@pytest.mark.parametrize("trainer", FRAMEWORKS)
def test_a_loss_and_a_step_of_the_projects_own_get_dicts_by_output(
    trainer: str, trained_by: Callable[[str], Model], heads: Dataset, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained_by(trainer)
    seen: list[set[str]] = []

    def loss(first: Any, second: Any) -> Any:
        seen.extend(({*first} & {*LOSSES}, {*second} & {*LOSSES}))
        return (first["sum"] - second["sum"]) ** 2

    def step(model: Any, optimizer: Any, inputs: Any, targets: Any) -> Any:
        return {"own": targets["sum"].mean() if trainer == "torch" else _mean(targets["sum"])}

    monkeypatch.setitem(sys.modules, "mine", SimpleNamespace(loss=loss, step=step))
    own = trained(bench, heads, trainer, network(trainer), epochs=1, loss="mine:loss", validation_fraction=0.2)
    figures = json.loads((own.folder / "history.json").read_text())
    assert {"loss", "sum_loss", "val_loss", "val_sign_accuracy"} <= figures.keys()
    assert figures["val_loss"] == pytest.approx(figures["val_sum_loss"], rel=1e-4)
    assert {"sign", "far", "sum"} in seen
    stepped = trained(bench, heads, trainer, network(trainer), epochs=1, step="mine:step", validation_fraction=0.2)
    figures = json.loads((stepped.folder / "history.json").read_text())
    assert figures["own"] == pytest.approx([array(heads.y("train"))["sum"].mean()], abs=0.1)
    assert "val_far_loss" in figures


def _mean(tensor: Any) -> Any:
    import tensorflow as tf

    return tf.reduce_mean(tensor)


@pytest.mark.parametrize("trainer", FRAMEWORKS)
def test_a_network_that_lacks_an_output_or_gives_another_shape_is_told(
    trainer: str, trained_by: Callable[[str], Model], heads: Dataset, bench: Bench
) -> None:
    trained_by(trainer)
    for changes, message in (
        ({"far": None}, r"answers .*, but the outputs are sign, far, sum, vector\n  return a dict"),
        ({"far": 5}, r"far' answers the shape \(None, 5\), but the data set has \(None, 2\)"),
    ):
        with pytest.raises(PluginError, match=message):
            trained(bench, heads, trainer, _other(trainer, changes))


def _other(trainer: str, widths: Mapping[str, int | None]) -> Callable[..., Any]:
    """Return what builds a network whose outputs have other widths, or are not there."""

    def build(shape: tuple[int, ...], numbers: dict[str, int]) -> Any:
        wanted = {name: width for name, width in {**numbers, "vector": 4, **widths}.items() if width}
        if trainer == "torch":
            from torch import nn

            class Net(nn.Module):
                def __init__(self) -> None:
                    super().__init__()
                    self.ends = nn.ModuleDict({name: nn.Linear(shape[0], width) for name, width in wanted.items()})

                def forward(self, x: Any) -> Any:
                    return {name: end(x) for name, end in self.ends.items()}

            return Net()
        keras = keras_of(trainer)
        taken = keras.layers.Input(shape)
        return keras.Model(taken, [keras.layers.Dense(width, name=name)(taken) for name, width in wanted.items()])

    return build


@pytest.mark.tensorflow
def test_two_outputs_of_one_layer_are_refused(heads: Dataset, bench: Bench, tensorflow: None) -> None:
    keras = keras_of("tensorflow")

    def build(shape: tuple[int, ...], numbers: dict[str, int]) -> Any:
        taken = keras.layers.Input(shape)
        shared = keras.layers.Dense(numbers["sign"])
        both = shared(taken), shared(keras.layers.Dense(4)(taken))
        return keras.Model(taken, [*both, keras.layers.Dense(1)(taken), taken])

    with pytest.raises(PluginError, match=r"outputs come out of one layer, .*\n  end each in a layer of its own"):
        trained(bench, heads, "tensorflow", build)


@pytest.mark.torch
def test_what_keeps_no_names_of_outputs_is_told(
    trained_by: Callable[[str], Model], heads: Dataset, bench: Bench, torch: None
) -> None:
    with pytest.raises(StageFailed, match=r"the model has 4: sign, far, sum, vector\n  export with torch-onnx"):
        component("optimizers.torch_litert").torch_litert(bench.optimize(heads, trained_by("torch")))
