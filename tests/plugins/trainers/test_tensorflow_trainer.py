from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.plugins.calling import trainer
from tests.plugins.conftest import Bench, Trained

from modelyard.artifacts import Dataset
from modelyard.errors import PluginError, StageFailed


def sha256(path: Any) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def linear(input_shape: tuple[int, ...], classes: int) -> Any:
    import tf_keras

    return tf_keras.Sequential(
        [tf_keras.layers.Input(input_shape), tf_keras.layers.Flatten(), tf_keras.layers.Dense(classes)]
    )


def test_training_learns_and_leaves_a_history(trained: Trained) -> None:
    history = msgspec.json.decode((trained.context.out / "history.json").read_bytes())
    assert history["epoch"] == [1, 2, 3, 4]
    assert history["loss"][-1] < history["loss"][0] / 2
    assert history["accuracy"][-1] > 0.9
    assert trained.context.metrics["train_loss"] == history["loss"][-1]
    assert trained.context.metrics["epochs"] == 4


def test_progress_and_a_line_an_epoch_are_reported(trained: Trained) -> None:
    epochs = [line for line in trained.lines if line.startswith("epoch ")]
    assert [line.split()[1] for line in epochs] == ["1/4", "2/4", "3/4", "4/4"]
    assert all("loss" in line and "accuracy" in line for line in epochs)
    assert trained.told[-1] == (4.0, 4.0)
    assert [done for done, _ in trained.told] == sorted(done for done, _ in trained.told)


def test_the_saved_model_holds_weights_and_no_optimizer_and_no_time(trained: Trained) -> None:
    from modelyard_plugins.support.keras_files import load_keras

    with zipfile.ZipFile(trained.model.path) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"1980-01-01" in archive.read("metadata.json")
        assert b"adam" not in archive.read("config.json").lower()
    x = trained.dataset.inputs("test")
    right = load_keras(trained.model.path).predict(x, verbose=0).argmax(axis=1) == trained.dataset.y("test")
    assert right.mean() > 0.9


_SCRIPT = """
import sys
from pathlib import Path
from tests.plugins.conftest import context
from modelyard_plugins.models.digits_cnn import digits_cnn
from tests.plugins.calling import trainer
train = trainer("tensorflow")
out, data = Path(sys.argv[1]), Path(sys.argv[2])
train(context(out, data, digits_cnn), epochs=4, batch_size=16, learning_rate=0.003)
"""


def test_another_process_gives_the_same_bytes(trained: Trained, tmp_path: Path) -> None:
    from modelyard_plugins.support.tensorflow import TENSORFLOW

    env = {**os.environ, **TENSORFLOW["environment"], "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    env["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    command = [sys.executable, "-c", _SCRIPT, str(tmp_path), str(trained.dataset.folder)]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    for name in ("model.keras", "history.json"):
        assert sha256(tmp_path / name) == sha256(trained.context.out / name)


def test_the_seed_changes_the_weights(tensorflow: None, stripes_dataset: Dataset, bench: Bench) -> None:
    train = trainer("tensorflow")

    hashes = set()
    for seed in (0, 1):
        context = bench.train(stripes_dataset, linear, seed)
        train(context, epochs=1)
        hashes.add(sha256(context.out / "model.keras"))
    assert len(hashes) == 2


def test_early_stopping_keeps_the_best_epoch(tensorflow: None, stripes_dataset: Dataset, bench: Bench) -> None:
    from modelyard_plugins.support.keras_files import load_keras

    train = trainer("tensorflow")

    context = bench.train(stripes_dataset, linear)
    train(context, epochs=40, learning_rate=1.0, early_stopping=2, validation_fraction=0.25)
    history = msgspec.json.decode((context.out / "history.json").read_bytes())
    best = int(np.argmin(history["val_loss"]))
    assert context.metrics["best_epoch"] == best + 1
    assert context.metrics["epochs"] == min(best + 3, 40)
    assert context.metrics["val_loss"] == history["val_loss"][best]
    assert load_keras(context.out / "model.keras").count_params() == context.metrics["parameters"]


@pytest.mark.parametrize("optimizer", ["adamw", "rmsprop", "sgd"])
def test_every_optimizer_trains(tensorflow: None, stripes_dataset: Dataset, bench: Bench, optimizer: str) -> None:
    train = trainer("tensorflow")

    context = bench.train(stripes_dataset, linear)
    train(context, epochs=2, optimizer=optimizer)
    history = msgspec.json.decode((context.out / "history.json").read_bytes())
    assert history["loss"][1] < history["loss"][0]


def test_a_loss_that_is_not_finite_stops_with_advice(tensorflow: None, stripes_dataset: Dataset, bench: Bench) -> None:
    train = trainer("tensorflow")

    def explosive(input_shape: tuple[int, ...], classes: int) -> Any:
        import tf_keras

        return tf_keras.Sequential([linear(input_shape, classes), tf_keras.layers.Lambda(lambda x: x * float("nan"))])

    with pytest.raises(StageFailed, match=r"epoch 1: a figure is not finite(.|\n)*smaller learning_rate"):
        train(bench.train(stripes_dataset, explosive), epochs=3)


def softmax(input_shape: tuple[int, ...], classes: int) -> Any:
    import tf_keras

    return tf_keras.Sequential([linear(input_shape, classes), tf_keras.layers.Softmax()])


def test_a_model_that_ends_in_a_softmax_learns_what_its_logits_would(
    tensorflow: None, stripes_dataset: Dataset, bench: Bench
) -> None:
    train = trainer("tensorflow")

    contexts = [bench.train(stripes_dataset, build) for build in (linear, softmax)]
    for context in contexts:
        train(context, epochs=3, learning_rate=0.01)
    logits, probabilities = (context.metrics for context in contexts)
    assert probabilities["train_accuracy"] == logits["train_accuracy"] > 0.9
    assert probabilities["train_loss"] == pytest.approx(logits["train_loss"], rel=1e-3)


def keras_3(input_shape: tuple[int, ...], classes: int) -> Any:
    import keras

    return keras.Sequential([keras.layers.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(classes)])


def subclassed(input_shape: tuple[int, ...], classes: int) -> Any:
    import tf_keras

    class Own(tf_keras.Model):
        def call(self, x: Any) -> Any:
            return x

    return Own()


def too_few(input_shape: tuple[int, ...], classes: int) -> Any:
    return linear(input_shape, classes - 1)


def test_a_sequential_model_without_an_input_shape_is_told_it(
    tensorflow: None, stripes_dataset: Dataset, bench: Bench
) -> None:
    from modelyard_plugins.support.keras_files import load_keras

    train = trainer("tensorflow")

    def shapeless(input_shape: tuple[int, ...], classes: int) -> Any:
        import tf_keras

        return tf_keras.Sequential([tf_keras.layers.Flatten(), tf_keras.layers.Dense(classes)])

    context = bench.train(stripes_dataset, shapeless)
    train(context, epochs=1)
    assert load_keras(context.out / "model.keras").input_shape == (None, 8, 8, 1)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (keras_3, "keras.*not a tf_keras model"),
        (subclassed, "neither Sequential .* nor Functional"),
        (too_few, r"answers the shape \(None, 2\), but the data set has \(None, 3\)"),
        (lambda input_shape, classes: None, "got a builtins.NoneType"),
    ],
)
def test_a_model_that_cannot_be_deployed_is_refused_before_training(
    tensorflow: None, stripes_dataset: Dataset, bench: Bench, build: Any, message: str
) -> None:
    train = trainer("tensorflow")

    with pytest.raises(PluginError, match=message):
        train(bench.train(stripes_dataset, build))
    assert not bench.told
