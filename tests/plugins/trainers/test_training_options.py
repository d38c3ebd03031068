"""What the built-in trainers have in common: class weights, a schedule and changed pictures mean the same in each framework."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.plugins.calling import trainer
from tests.plugins.conftest import Bench, no_progress
from tests.tasks import write_dataset

from modelyard.artifacts import Dataset, Splits, format_file
from modelyard.contexts import CheckContext
from modelyard.errors import DataError, PluginError
from modelyard.plugins.load import load_plugins
from modelyard_plugins.support.training import problems

Train = Callable[..., tuple[Any, Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]]]
FRAMEWORKS = [
    pytest.param("tensorflow", marks=pytest.mark.tensorflow),
    pytest.param("keras", marks=[pytest.mark.tensorflow, pytest.mark.thorough]),
    pytest.param("torch", marks=pytest.mark.torch),
]


@pytest.fixture(params=FRAMEWORKS)
def train(request: pytest.FixtureRequest, bench: Bench) -> Train:
    """Trains a linear classifier without chance in its weights; gives the context, and what the saved model answers."""
    if request.param == "torch":
        return lambda dataset, **options: _torch(bench, dataset, options)
    request.getfixturevalue("tensorflow")
    return lambda dataset, **options: _keras(request.param, bench, dataset, options)


def _torch(bench: Bench, dataset: Dataset, options: Any) -> Any:
    torch = pytest.importorskip("torch")
    from modelyard_plugins.support.torch.program import load_program

    train = trainer("torch")

    def build(input_shape: tuple[int, ...], classes: int) -> Any:
        dense = torch.nn.Linear(int(np.prod(input_shape)), classes)
        torch.nn.init.zeros_(dense.weight)
        torch.nn.init.zeros_(dense.bias)
        return torch.nn.Sequential(torch.nn.Flatten(), dense)

    context = bench.train(dataset, build)
    train(context, layout="channels-last", **options)
    module = load_program(context.out / format_file("torch")).module()
    return context, lambda inputs: module(torch.from_numpy(inputs)).detach().numpy()


def _keras(name: str, bench: Bench, dataset: Dataset, options: Any) -> Any:
    if name == "keras":
        import keras

        from modelyard_plugins.support.keras.keras3_files import load_keras3 as load

        train = trainer("keras")
    else:
        import tf_keras as keras

        from modelyard_plugins.support.keras_files import load_keras as load

        train = trainer("tensorflow")

    def build(input_shape: tuple[int, ...], classes: int) -> Any:
        layers = [keras.layers.Input(input_shape), keras.layers.Flatten()]
        return keras.Sequential([*layers, keras.layers.Dense(classes, kernel_initializer="zeros")])

    context = bench.train(dataset, build)
    train(context, **options)
    model = load(context.out / format_file("keras" if name == "keras" else "tf_keras"))
    return context, lambda inputs: np.asarray(model(inputs))


def written(folder: Path, x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> Dataset:
    write_dataset(Splits(x, y, x, y, [f"class {n}" for n in range(y.max() + 1)]), folder, progress=no_progress)
    return Dataset.open(folder)


@pytest.fixture
def blank(tmp_path: Path) -> Dataset:
    """Black pictures, 15 of one class and 5 of another: nothing but how often each comes can be learnt."""
    folder = tmp_path / "blank"
    folder.mkdir()
    return written(folder, np.zeros((20, 4, 4, 1), np.uint8), np.repeat([0, 1], [15, 5]))


def simulated(shares: list[float], rates: list[float]) -> np.ndarray[Any, Any]:
    """Return the logits of a classifier that knows nothing but its bias, after a step of gradient descent for each rate."""
    bias = np.zeros(len(shares))
    for rate in rates:
        raised = np.exp(bias)
        bias -= rate * (raised / raised.sum() - np.array(shares))
    return bias


@pytest.mark.parametrize(("class_weights", "shares"), [("none", [0.75, 0.25]), ("balanced", [0.5, 0.5])])
def test_balanced_classes_count_as_much_as_each_other(
    train: Train, blank: Dataset, class_weights: str, shares: list[float]
) -> None:
    options = {"epochs": 6, "batch_size": 20, "optimizer": "sgd", "learning_rate": 0.5}
    _, answer = train(blank, class_weights=class_weights, **options)
    logits = answer(np.zeros((1, 4, 4, 1), np.float32))[0]
    np.testing.assert_allclose(logits, simulated(shares, [0.5] * 6), atol=1e-5)


def test_a_cosine_lets_the_rate_fall_to_nothing(train: Train, blank: Dataset) -> None:
    options = {"epochs": 6, "batch_size": 20, "optimizer": "sgd", "learning_rate": 0.5}
    _, answer = train(blank, schedule="cosine", **options)
    rates = [0.25 * (1 + np.cos(np.pi * step / 6)) for step in range(6)]
    np.testing.assert_allclose(answer(np.zeros((1, 4, 4, 1), np.float32))[0], simulated([0.75, 0.25], rates), atol=1e-5)


@pytest.fixture
def sides(tmp_path: Path) -> Dataset:
    """Pictures that are bright on the left, or on the right."""
    x, y = np.zeros((32, 4, 4, 1), np.uint8), np.arange(32) % 2
    x[y == 0, :, :2], x[y == 1, :, 2:] = 255, 255
    folder = tmp_path / "sides"
    folder.mkdir()
    return written(folder, x, y)


def test_a_mirror_takes_what_tells_sides_apart(train: Train, sides: Dataset) -> None:
    def accuracy(**options: Any) -> float:
        context, answer = train(sides, epochs=8, batch_size=8, learning_rate=0.1, **options)
        assert context.metrics["epochs"] == 8
        return float((answer(sides.inputs("test")).argmax(1) == sides.y("test")).mean())

    assert accuracy() == accuracy(shift=1) == 1.0
    _, answer = train(sides, epochs=8, batch_size=8, learning_rate=0.1, flip=True)
    assert np.abs(answer(sides.inputs("test"))).max() < 1.5, "each class looks like the other"


def test_samples_that_are_no_pictures_are_told_before_training(train: Train, tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    rows = written(folder, np.zeros((8, 5), np.float32), np.arange(8) % 2)
    with pytest.raises(DataError, match=r"flip and shift change pictures"):
        train(rows, flip=True)


OWN = """
def twice(targets, answers):
    if "torch" in type(targets).__module__:
        import torch
        return 2 * torch.nn.functional.cross_entropy(targets, answers)  # PyTorch calls a loss the other way round
    import tensorflow as tf
    labels = tf.cast(tf.reshape(targets, [-1]), tf.int64)  # Keras 3 hands over float32
    return 2 * tf.nn.sparse_softmax_cross_entropy_with_logits(labels, answers)
"""


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's own module `own_losses`."""
    (tmp_path / "own_losses.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_losses", raising=False)


@pytest.mark.usefixtures("own_code")
def test_a_loss_of_the_projects_own_is_made_small_instead(train: Train, blank: Dataset) -> None:
    options = {"epochs": 6, "batch_size": 20, "optimizer": "sgd", "learning_rate": 0.25}
    context, answer = train(blank, loss="own_losses:twice", **options)
    logits = answer(np.zeros((1, 4, 4, 1), np.float32))[0]
    np.testing.assert_allclose(logits, simulated([0.75, 0.25], [0.5] * 6), atol=1e-5)
    assert context.metrics["train_accuracy"] == 0.75


@pytest.mark.usefixtures("own_code")
def test_a_loss_that_is_not_there_is_told_before_training(train: Train, blank: Dataset) -> None:
    with pytest.raises(PluginError, match=r"own_losses has no function 'twise', did you mean 'twice'"):
        train(blank, loss="own_losses:twise")


def test_what_learns_in_bfloat16_is_the_same_every_time_and_ships_in_float32(train: Train, sides: Dataset) -> None:
    def logits(precision: str) -> Any:
        _, answer = train(sides, epochs=8, batch_size=8, learning_rate=0.1, precision=precision)
        return answer(sides.inputs("test"))

    once, again, exact = logits("bfloat16"), logits("bfloat16"), logits("float32")
    assert once.dtype == np.float32
    np.testing.assert_array_equal(once, again)
    assert (once.argmax(1) == sides.y("test")).all()
    assert np.abs(once - exact).max() > 0, "something was computed in less"
    np.testing.assert_allclose(once, exact, rtol=0.1)


def test_a_loss_of_ones_own_weighs_classes_itself() -> None:
    context = CheckContext(name="a", version="1", runtime="r")
    (found,) = problems(
        context, early_stopping=0, validation_fraction=0.0, class_weights="balanced", loss="losses:focal"
    )
    assert (found.key, found.why) == ("class_weights", "a loss of your own weighs samples itself")


def test_a_step_of_ones_own_weighs_and_computes_itself() -> None:
    context = CheckContext(name="a", version="1", runtime="r")
    found = problems(
        context,
        early_stopping=0,
        validation_fraction=0.0,
        class_weights="balanced",
        loss="",
        step="steps:one",
        precision="bfloat16",
    )
    assert [one.key for one in found] == ["class_weights", "precision"]


@pytest.mark.parametrize("name", ["tensorflow", "keras", "torch"])
def test_a_file_that_functions_of_the_projects_own_read_counts(tmp_path: Path, name: str) -> None:
    assert load_plugins(tmp_path).of_kind("trainer")[name].inputs == ("input",)
