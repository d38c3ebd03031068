from __future__ import annotations

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
from tests.plugins.keras3 import shared_object, small_cnn

from modelyard.errors import PluginError, StageFailed

pytestmark = pytest.mark.tensorflow


def fit(bench: Any, dataset: Any, build: Any = small_cnn, **params: Any) -> Any:
    train = trainer("keras")

    context = bench.train(dataset, build)
    train(context, **{"epochs": 1, "batch_size": 64, **params})
    return context


def test_training_learns_and_leaves_a_history_and_a_model_without_optimizer_or_time(keras3_trained: Trained) -> None:
    from modelyard_plugins.support.keras.keras3_files import load_keras3

    context, dataset = keras3_trained.context, keras3_trained.dataset
    history = msgspec.json.decode((context.out / "history.json").read_bytes())
    assert history["epoch"] == [1, 2, 3, 4]
    assert history["loss"][-1] < history["loss"][0] / 2
    assert context.metrics["train_loss"] == history["loss"][-1]
    assert context.metrics["parameters"] == 4_979
    with zipfile.ZipFile(keras3_trained.model.path) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"1980-01-01" in archive.read("metadata.json")
        assert b"adam" not in archive.read("config.json").lower()
        assert len(archive.read("model.weights.h5")) < 4_979 * 4 * 2.5  # Adam's state alone would be twice the weights
    answer = load_keras3(keras3_trained.model.path).predict(dataset.inputs("test"), verbose=0)
    assert (answer.argmax(axis=1) == dataset.y("test")).mean() > 0.9
    assert [line.split()[1] for line in keras3_trained.lines if line.startswith("epoch ")] == [
        "1/4",
        "2/4",
        "3/4",
        "4/4",
    ]


_SCRIPT = """
import sys
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from tests.plugins.conftest import context
from tests.plugins.calling import trainer
train = trainer("keras")
from tests.plugins.keras3 import shared_object, small_cnn
for name, build, epochs in (("a", small_cnn, 4), ("b", shared_object, 1)):
    out = Path(sys.argv[1]) / name
    out.mkdir()
    train(context(out, Path(sys.argv[2]), build),
          epochs=epochs, batch_size=16, learning_rate=0.003)
"""


@pytest.mark.thorough
def test_another_process_gives_the_same_bytes_whatever_keras_json_says(
    keras3_trained: Trained, bench: Bench, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    from modelyard_plugins.support.keras.keras3 import KERAS

    home = tmp_path / "home"
    (home / ".keras").mkdir(parents=True)
    (home / ".keras/keras.json").write_text(
        '{"floatx": "float16", "backend": "jax", "image_data_format": "channels_first"}'
    )
    env = {**os.environ, **KERAS["environment"], "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "HOME": str(home)}
    command = [sys.executable, "-c", _SCRIPT, tmp_path, keras3_trained.dataset.folder, pytestconfig.rootpath]
    done = subprocess.run([str(word) for word in command], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]

    here = fit(bench, keras3_trained.dataset, shared_object, batch_size=16, learning_rate=0.003)
    for name in ("model.keras", "history.json"):
        assert (tmp_path / "a" / name).read_bytes() == (keras3_trained.context.out / name).read_bytes()
        assert (tmp_path / "b" / name).read_bytes() == (here.out / name).read_bytes()


def test_early_stopping_keeps_the_best_weights(bench: Bench, keras3_trained: Trained) -> None:
    context = fit(
        bench, keras3_trained.dataset, softmax, epochs=6, learning_rate=0.3, early_stopping=2, validation_fraction=0.25
    )

    history = msgspec.json.decode((context.out / "history.json").read_bytes())
    best = int(np.argmin(history["val_loss"]))
    assert context.metrics["best_epoch"] == best + 1
    assert context.metrics["val_loss"] == history["val_loss"][best]


def subclassed(input_shape: tuple[int, ...], classes: int) -> Any:
    import keras

    class Own(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    return Own(name="own")


def own_layer(input_shape: tuple[int, ...], classes: int) -> Any:
    import keras

    class Scale(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x * 2

    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), Scale(), keras.layers.Dense(classes)])


def unregistered(input_shape: tuple[int, ...], classes: int) -> Any:
    import keras

    scale = type("Scale", (keras.layers.Layer,), {"call": lambda self, x: x * 2})()
    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), scale, keras.layers.Dense(classes)])


def softmax(input_shape: tuple[int, ...], classes: int) -> Any:
    import keras

    layers = keras.layers
    return keras.Sequential([keras.Input(input_shape), layers.Flatten(), layers.Dense(classes, activation="softmax")])


def test_a_model_that_ends_in_a_softmax_learns(bench: Bench, keras3_trained: Trained) -> None:
    metrics = fit(bench, keras3_trained.dataset, softmax, epochs=10, batch_size=16, learning_rate=0.01).metrics
    assert metrics["train_accuracy"] > 0.9
    assert metrics["train_loss"] < 0.3


def code_in_the_file(input_shape: tuple[int, ...], classes: int) -> Any:
    import keras

    layers = keras.layers
    return keras.Sequential(
        [keras.Input(input_shape), layers.Flatten(), layers.Dense(classes), layers.Lambda(lambda x: x)]
    )


def of_tf_keras(input_shape: tuple[int, ...], classes: int) -> Any:
    import tf_keras

    return tf_keras.Sequential([tf_keras.Input(input_shape), tf_keras.layers.Flatten(), tf_keras.layers.Dense(classes)])


def two_heads(input_shape: tuple[int, ...], classes: int) -> Any:
    import keras

    given = keras.Input(input_shape)
    flat = keras.layers.Flatten()(given)
    return keras.Model(given, {"kind": keras.layers.Dense(classes)(flat), "place": keras.layers.Dense(2)(flat)})


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            subclassed,
            r"'own' is neither Sequential \(with an input shape\) nor Functional\n  write it as keras\.Sequential",
        ),
        (
            own_layer,
            r"'scale' is a own_layer.<locals>.Scale, .*\n  a layer of your own needs @keras\.saving.*, outside",
        ),
        (unregistered, r"cannot be saved: .*Scale.*\n  a layer of your own needs @keras\.saving"),
        (code_in_the_file, r"cannot be saved: .*[Ll]ambda"),
        (of_tf_keras, r"got a tf_keras\S+, not a model of Keras 3\n  build it with `import keras`"),
        (
            lambda shape, classes: small_cnn(shape, classes + 1),
            r"answers the shape \(None, 4\), but the data set has \(None, 3\)",
        ),
        (lambda shape, classes: None, r"got a builtins\.NoneType"),
        (two_heads, r"answers the tensors kind, place, but one output is learnt\n  .*task\.outputs\.NAME"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_before_training(
    bench: Bench, keras3_trained: Trained, build: Any, message: str
) -> None:
    with pytest.raises(PluginError, match=message):
        fit(bench, keras3_trained.dataset, build)
    assert not [line for line in bench.lines if line.startswith("epoch")]


def test_a_loss_must_be_finite(bench: Bench, keras3_trained: Trained) -> None:
    with pytest.raises(StageFailed, match=r"a figure is not finite.*\n  try a smaller learning_rate"):
        fit(bench, keras3_trained.dataset, epochs=5, optimizer="sgd", learning_rate=1e30)


def test_a_sequential_model_is_told_the_shape_of_its_input(bench: Bench, keras3_trained: Trained) -> None:
    import keras

    def build(input_shape: tuple[int, ...], classes: int) -> Any:
        return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(classes)])

    assert fit(bench, keras3_trained.dataset, build).metrics["parameters"] == 65 * 3
