"""The losses of tasks mean the same in each framework: what the history says is what numpy finds of the model that was saved."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.plugins.calling import trainer
from tests.plugins.conftest import Bench, model_facts, open_model
from tests.shared import usual

from modelyard.artifacts import Dataset, DatasetFacts, Model, SplitFacts, format_file
from modelyard.contexts import CheckContext
from modelyard.errors import ConfigError, PluginError
from modelyard.files.json import write_json
from modelyard.tensors import Activation, InputFacts, Loss, OutputFacts
from modelyard_plugins.support.training import problems, training_rows

Array = np.ndarray[Any, Any]
ACTIVATIONS: dict[Loss, Activation] = {"cross-entropy": "softmax", "binary-cross-entropy": "sigmoid"}


class Framework:
    """One of the three that train: builds a model of two layers, and tells what a saved one answers."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.format = {"tensorflow": "tf_keras", "keras": "keras", "torch": "torch"}[name]

    def build(self, ends_in: Activation) -> Callable[[tuple[int, ...], int], Any]:
        return self._module(ends_in) if self.name == "torch" else self._layers(ends_in)

    def _layers(self, ends_in: Activation) -> Callable[[tuple[int, ...], int], Any]:
        keras: Any = pytest.importorskip("keras" if self.name == "keras" else "tf_keras")
        activation = None if ends_in == "none" else ends_in

        def build(input_shape: tuple[int, ...], classes: int) -> Any:
            layers = [keras.layers.Input(input_shape), keras.layers.Dense(16, "relu")]
            return keras.Sequential([*layers, keras.layers.Dense(classes, activation)])

        return build

    def _module(self, ends_in: Activation) -> Callable[[tuple[int, ...], int], Any]:
        from torch import nn

        ends = {"none": nn.Identity(), "softmax": nn.Softmax(-1), "sigmoid": nn.Sigmoid()}

        def build(input_shape: tuple[int, ...], classes: int) -> Any:
            return nn.Sequential(nn.Linear(input_shape[-1], 16), nn.ReLU(), nn.Linear(16, classes), ends[ends_in])

        return build

    def train(self, context: Any, **options: Any) -> None:
        trainer(self.name)(context, **options)

    def answers(self, path: Path, inputs: Array) -> Array:
        """Return what the model answers, float64, shape `(N, k)`."""
        if self.name == "torch":
            import torch

            from modelyard_plugins.support.torch.program import load_program

            with torch.no_grad():
                return np.asarray(load_program(path).module()(torch.from_numpy(inputs)), np.float64)
        from modelyard_plugins.support.keras.keras3_files import load_keras3
        from modelyard_plugins.support.keras_files import load_keras

        load = load_keras3 if self.name == "keras" else load_keras
        return np.asarray(load(path)(inputs), np.float64)


@pytest.fixture(
    params=[
        pytest.param("tensorflow", marks=pytest.mark.tensorflow),
        pytest.param("keras", marks=[pytest.mark.tensorflow, pytest.mark.thorough]),
        pytest.param("torch", marks=pytest.mark.torch),
    ]
)
def framework(request: pytest.FixtureRequest) -> Framework:
    request.getfixturevalue("torch" if request.param == "torch" else "tensorflow")
    return Framework(request.param)


def written(
    folder: Path, x: Array, y: Array, loss: Loss, task: str = "other", shape: tuple[int | str, ...] | None = None
) -> Dataset:
    """Write a data set whose task has `loss`; both splits are the same."""
    folder.mkdir()
    for split in ("train", "test"):
        np.save(folder / f"{split}_x.npy", x)
        np.save(folder / f"{split}_y.npy", y)
    facts = DatasetFacts(
        task=task,
        inputs=(InputFacts(name="input", dtype="float32", shape=x.shape[1:], value_range=(-10, 10)),),
        outputs=(OutputFacts(name="answer", shape=shape or y.shape[1:], activation=ACTIVATIONS.get(loss, "none")),),
        splits={split: SplitFacts(len(x)) for split in ("train", "test")},
        loss=loss,
    )
    write_json(folder / "dataset.json", facts)
    return Dataset.open(folder)


@pytest.fixture(scope="module")
def diabetes(tmp_path_factory: pytest.TempPathFactory) -> dict[Loss, Dataset]:
    """442 patients: how far the disease went, and the blood pressure; and as labels, what of three is above the mean."""
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes()
    x = (bunch.data / bunch.data.std(axis=0)).astype(np.float32)
    y = np.stack([bunch.target / 50, 2 + x[:, 3] / 5], axis=1).astype(np.float32)  # of the size that qat begins with
    several = (np.stack([bunch.target, *x[:, 2:4].T], axis=1) > [152, 0, 0]).astype(np.uint8)
    folder = tmp_path_factory.mktemp("diabetes")
    targets: dict[Loss, Array] = {"squared-error": y, "absolute-error": y, "binary-cross-entropy": several}
    return {loss: written(folder / loss, x, labels, loss) for loss, labels in targets.items()}


def losses(loss: Loss, answers: Array, targets: Array, ends_in: Activation) -> Array:
    if loss == "binary-cross-entropy":
        chance = answers if ends_in == "sigmoid" else 1 / (1 + np.exp(-answers))
        return -np.log(np.where(targets, chance, 1 - chance))
    apart = answers - targets
    return apart**2 if loss == "squared-error" else np.abs(apart)


def figures(loss: Loss, answers: Array, targets: Array, ends_in: Activation) -> tuple[str, float]:
    if loss == "binary-cross-entropy":
        least = 0.5 if ends_in == "sigmoid" else 0.0
        return "binary_accuracy", float(((answers > least) == (targets == 1)).mean())
    return "mean_absolute_error", float(np.abs(answers - targets).mean())


CASES: list[tuple[Loss, Activation]] = [
    ("squared-error", "none"),
    ("absolute-error", "none"),
    ("binary-cross-entropy", "none"),
    ("binary-cross-entropy", "sigmoid"),
]


@pytest.mark.parametrize(("loss", "ends_in"), CASES)
def test_training_learns_and_its_figures_are_those_of_the_saved_model(
    framework: Framework, diabetes: dict[Loss, Dataset], bench: Bench, loss: Loss, ends_in: Activation
) -> None:
    dataset = diabetes[loss]
    context = bench.train(dataset, framework.build(ends_in))
    framework.train(context, epochs=8, batch_size=16, learning_rate=0.05, validation_fraction=0.2)
    history = msgspec.json.decode((context.out / "history.json").read_bytes())
    _, held_out = training_rows(context, 0.2)
    answers = framework.answers(context.out / format_file(framework.format), dataset.inputs("train", held_out))
    targets = np.asarray(dataset.y("train")[held_out], np.float64)
    name, figure = figures(loss, answers, targets, ends_in)
    assert set(history) == {"epoch", "loss", name, "val_loss", f"val_{name}"}
    assert history["val_loss"][-1] == pytest.approx(losses(loss, answers, targets, ends_in).mean(), rel=1e-4)
    assert history[f"val_{name}"][-1] == pytest.approx(figure, rel=1e-5)
    assert context.metrics[f"val_{name}"] == history[f"val_{name}"][-1]
    assert figure > 0.8 if loss == "binary-cross-entropy" else figure < 0.6, "what it can do after a few epochs"


@pytest.mark.parametrize("ends_in", usual(["none", "softmax"], 1))
def test_of_a_class_at_each_position_those_that_do_not_count_are_left_out(
    framework: Framework, bench: Bench, tmp_path: Path, ends_in: Activation
) -> None:
    """How many of two figures at a position are above 0; of one position in seven nobody says."""
    random = np.random.default_rng(0)
    x = random.normal(size=(160, 7, 4)).astype(np.float32)
    y = ((x[..., 0] > 0).astype(np.int32) + (x[..., 1] > 0)).astype(np.int32)
    y[np.arange(160), random.integers(0, 7, 160)] = -1
    dataset = written(tmp_path / "positions", x, y, "cross-entropy", "tokens", (7, 3))
    context = bench.train(dataset, framework.build(ends_in))
    as_it_is = {"layout": "channels-last"} if framework.name == "torch" else {}
    framework.train(context, epochs=12, batch_size=16, learning_rate=0.05, validation_fraction=0.2, **as_it_is)
    history = msgspec.json.decode((context.out / "history.json").read_bytes())
    _, held_out = training_rows(context, 0.2)
    answers = framework.answers(context.out / format_file(framework.format), dataset.inputs("train", held_out))
    if ends_in == "none":
        powers = np.exp(answers - answers.max(axis=-1, keepdims=True))
        answers = powers / powers.sum(axis=-1, keepdims=True)
    targets = np.asarray(dataset.y("train")[held_out])
    counted = targets >= 0
    of_right = np.take_along_axis(answers, np.maximum(targets, 0)[..., None], -1)[..., 0]
    accuracy = float((answers.argmax(axis=-1) == targets)[counted].mean())
    assert set(history) == {"epoch", "loss", "accuracy", "val_loss", "val_accuracy"}
    assert history["val_loss"][-1] == pytest.approx(-np.log(of_right[counted]).mean(), rel=1e-4)
    assert history["val_accuracy"][-1] == pytest.approx(accuracy, rel=1e-5)
    assert accuracy > 0.85, "what it can do after a few epochs"
    with pytest.raises(ConfigError, match="class_weights: 'balanced' is not allowed: a sample"):
        framework.train(context, class_weights="balanced", **as_it_is)


TUNERS = [
    pytest.param("tensorflow", "fine_tune.fine_tune", marks=pytest.mark.tensorflow),
    pytest.param("tensorflow", "prune.prune", marks=[pytest.mark.tensorflow, pytest.mark.thorough]),
    pytest.param("tensorflow", "cluster.cluster", marks=[pytest.mark.tensorflow, pytest.mark.thorough]),
    pytest.param("tensorflow", "qat.qat", marks=[pytest.mark.tensorflow, pytest.mark.thorough]),
    pytest.param("torch", "torch_fine_tune.torch_fine_tune", marks=pytest.mark.torch),
    pytest.param("torch", "torch_prune.torch_prune", marks=pytest.mark.torch),
]


@pytest.fixture(scope="module")
def parent_of(diabetes: dict[Loss, Dataset], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Model]:
    """Return a function that trains with a framework for the squared error, once."""

    @cache
    def parent(name: str) -> Model:
        framework, dataset = Framework(name), diabetes["squared-error"]
        context = Bench(tmp_path_factory.mktemp(name)).train(dataset, framework.build("none"))
        framework.train(context, epochs=15, batch_size=16, learning_rate=0.05)
        return open_model(context.out, dataset, framework.format)

    return parent


@pytest.mark.parametrize(("name", "tuner"), TUNERS)
def test_model_optimizers_that_train_go_by_the_loss_of_the_data(
    name: str,
    tuner: str,
    request: pytest.FixtureRequest,
    diabetes: dict[Loss, Dataset],
    parent_of: Callable[[str], Model],
    bench: Bench,
) -> None:
    request.getfixturevalue(name)
    import importlib

    tuning = bench.optimize(diabetes["squared-error"], parent_of(name))
    module, _, function = tuner.partition(".")
    optimizer = getattr(importlib.import_module(f"modelyard_plugins.optimizers.{module}"), function)
    optimizer(tuning, epochs=3, learning_rate=0.01)
    history = msgspec.json.decode((tuning.out / "history.json").read_bytes())
    assert set(history) == {"epoch", "loss", "mean_absolute_error"}
    assert tuning.metrics["train_mean_absolute_error"] == history["mean_absolute_error"][-1] < 0.6


@pytest.mark.parametrize(("loss", "ends_in", "wanted"), [("binary-cross-entropy", "softmax", "sigmoid")])
def test_another_activation_at_the_end_is_told_before_training(
    framework: Framework, diabetes: dict[Loss, Dataset], bench: Bench, loss: Loss, ends_in: Activation, wanted: str
) -> None:
    context = bench.train(diabetes[loss], framework.build(ends_in))
    with pytest.raises(
        PluginError, match=f"ends in a {ends_in}, but the data set's answers are those of a {wanted}\n  let it end"
    ):
        framework.train(context, epochs=1)
    assert not list(context.out.iterdir())


def test_where_the_component_says_so_another_activation_is_believed(diabetes: dict[Loss, Dataset]) -> None:
    facts = model_facts(diabetes["binary-cross-entropy"], "keras")
    assert facts.answering("probabilities").ending_in("softmax").output == "probabilities"
    assert facts.ending_in("none").output == "logits"
    plain = model_facts(diabetes["squared-error"], "keras")
    assert plain.ending_in("sigmoid") == plain.answering("probabilities") == plain, "a number needs nothing done to it"


def test_a_task_without_a_loss_cannot_be_trained(framework: Framework, tmp_path: Path, bench: Bench) -> None:
    vectors = written(tmp_path / "vectors", np.zeros((4, 3), np.float32), np.zeros((4, 2), np.float32), "", "embedding")
    context = bench.train(vectors, framework.build("none"))
    with pytest.raises(PluginError, match="the task 'embedding' has no loss to train with\n  name a loss, or a step"):
        framework.train(context)


OWN = """
def torch_like(answers, targets):
    import torch
    norm = (answers**2).sum(1)
    return torch.where(targets == 0, norm, (norm - 4) ** 2)


def keras_like(targets, answers):
    import tensorflow as tf
    norm = tf.reduce_sum(answers**2, 1)
    return tf.where(tf.cast(targets, tf.int64) == 0, norm, (norm - 4) ** 2)


def torch_step(model, optimizer, inputs, targets):
    optimizer.zero_grad()
    loss = (model(inputs) ** 2).sum(1).mean()
    loss.backward()
    optimizer.step()
    return {"loss": loss, "last": targets.max()}


def keras_step(model, optimizer, inputs, targets):
    import tensorflow as tf
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.reduce_sum(model(inputs, training=True) ** 2, 1))
    optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
    return {"loss": loss, "last": tf.reduce_max(targets)}
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module of the project with a loss and a step of its own."""
    (tmp_path / "vectors_of_own.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "vectors_of_own", raising=False)
    return "vectors_of_own"


def vectors(folder: Path, labels: Array | None) -> Dataset:
    """Two clouds of points, of which a model answers vectors as long as it likes."""
    x = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    x[1::2] += 2
    made = written(folder, x, np.zeros(64) if labels is None else labels, "", "vectors", ("width",))
    for split in ("train", "test") if labels is None else ():
        (folder / f"{split}_y.npy").unlink()
    return made


def test_a_loss_of_ones_own_trains_for_a_task_without_one_and_the_model_says_how_long_its_answer_is(
    framework: Framework, tmp_path: Path, bench: Bench, own: str
) -> None:
    seen = []

    def build(input_shape: tuple[int, ...], numbers: Any) -> Any:
        seen.append(numbers)
        return framework.build("none")(input_shape, 5)

    context = bench.train(vectors(tmp_path / "vectors", np.arange(64) % 2), build)
    loss = f"{own}:{'torch' if framework.name == 'torch' else 'keras'}_like"
    framework.train(context, epochs=12, learning_rate=0.05, loss=loss, validation_fraction=0.25)
    history = msgspec.json.decode((context.out / "history.json").read_bytes())
    assert set(seen) == {None}
    assert sorted(history) == ["epoch", "loss", "val_loss"]
    assert history["loss"][-1] < history["loss"][0] / 3


def test_a_step_of_ones_own_needs_no_labels_and_is_given_the_numbers_of_the_samples(
    framework: Framework, tmp_path: Path, bench: Bench, own: str
) -> None:
    context = bench.train(vectors(tmp_path / "vectors", None), lambda shape, _: framework.build("none")(shape, 5))
    step = f"{own}:{'torch' if framework.name == 'torch' else 'keras'}_step"
    framework.train(context, epochs=2, batch_size=64, step=step)
    history = msgspec.json.decode((context.out / "history.json").read_bytes())
    assert sorted(history) == ["epoch", "last", "loss"]
    assert history["last"] == [63, 63]


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        ({}, ["loss"]),
        ({"loss": "own:loss"}, []),
        ({"step": "own:step"}, []),
        ({"step": "own:step", "validation_fraction": 0.1}, ["validation_fraction"]),
        ({"step": "own:step", "loss": "own:loss", "validation_fraction": 0.1}, []),
    ],
)
def test_what_a_task_without_a_loss_lacks_is_told_at_load(given: dict[str, Any], keys: list[str]) -> None:
    around = CheckContext(name="a", version="1", runtime="r", loss="")
    params = {"early_stopping": 0, "validation_fraction": 0.0, "class_weights": "none", "loss": "", **given}
    assert [one.key for one in problems(around, **params)] == keys


def test_classes_are_weighed_where_there_are_classes_alone(
    framework: Framework, diabetes: dict[Loss, Dataset], bench: Bench
) -> None:
    context = bench.train(diabetes["squared-error"], framework.build("none"))
    with pytest.raises(
        ConfigError, match=r"\[tool.modelyard.train\]: class_weights: 'balanced' is not allowed: a sample"
    ):
        framework.train(context, class_weights="balanced")

    def told(around: CheckContext) -> list[str]:
        found = problems(around, early_stopping=0, validation_fraction=0.0, class_weights="balanced", loss="")
        return [one.key for one in found]

    assert told(CheckContext(name="a", version="1", runtime="r", loss="squared-error")) == ["class_weights"]
    assert told(CheckContext(name="a", version="1", runtime="r")) == []


def test_rows_are_set_apart_where_there_are_no_classes(diabetes: dict[Loss, Dataset], bench: Bench) -> None:
    one, other = (bench.train(diabetes["absolute-error"], dict, seed) for seed in (7, 8))
    rows, held_out = training_rows(one, 0.25)
    assert sorted([*rows, *held_out]) == list(range(442))
    assert len(held_out) == 110
    assert list(rows) == sorted(rows)
    assert list(held_out) == list(training_rows(one, 0.25)[1]) != list(training_rows(other, 0.25)[1])
