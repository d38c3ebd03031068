"""What files show of themselves, each written by the framework that others would write it with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.plugins.conftest import model_facts

from modelyard.artifacts import Dataset, FileFacts, Model
from modelyard.tensors import Activation
from modelyard_plugins.formats.known import modelyard_read_model_file

SOFTMAX, SIGMOID, NOTHING = FileFacts(activation="softmax"), FileFacts(activation="sigmoid"), FileFacts()


def shown(path: Path, dataset: Dataset, model_format: str) -> FileFacts | None:
    """Return what the file shows beside its signature and what it takes as texts."""
    facts = msgspec.structs.replace(model_facts(dataset, model_format), file=path.name)
    found = modelyard_read_model_file(Model(path.parent, facts))
    return found and msgspec.structs.replace(found, signature=None, utf8=False)


def keras_models(keras: Any) -> dict[str, tuple[Any, FileFacts]]:
    """Return models of either Keras that end in an activation, said in each way that there is, and some that do not."""
    layers = keras.layers
    image = keras.Input((8, 8, 1))
    hidden = layers.Flatten()(image)
    inner = keras.Sequential([keras.Input((64,)), layers.Dense(3, activation="softmax")])
    flat = [keras.Input((8, 8, 1)), layers.Flatten()]
    return {
        "activation": (keras.Sequential([*flat, layers.Dense(3, activation="softmax")]), SOFTMAX),
        "function": (keras.Sequential([*flat, layers.Dense(3, activation=keras.activations.softmax)]), SOFTMAX),
        "layer": (keras.Sequential([*flat, layers.Dense(3), layers.Softmax()]), SOFTMAX),
        "activation layer": (keras.Sequential([*flat, layers.Dense(3), layers.Activation("softmax")]), SOFTMAX),
        "functional": (keras.Model(image, layers.Dense(3, activation="softmax")(hidden)), SOFTMAX),
        "a model inside": (keras.Model(image, inner(hidden)), SOFTMAX),
        "sigmoid": (keras.Sequential([*flat, layers.Dense(3, activation="sigmoid")]), SIGMOID),
        "sigmoid layer": (keras.Sequential([*flat, layers.Dense(3), layers.Activation("sigmoid")]), SIGMOID),
        "sigmoid function": (
            keras.Model(image, layers.Dense(3, activation=keras.activations.sigmoid)(hidden)),
            SIGMOID,
        ),
        "logits": (keras.Sequential([*flat, layers.Dense(3)]), NOTHING),
        "gates": (keras.Sequential([keras.Input((8, 8)), layers.GRU(3)]), NOTHING),  # sigmoids, but not at the end
        "a softmax before": (
            keras.Sequential([*flat, layers.Dense(3, activation="softmax"), layers.Dense(3)]),
            NOTHING,
        ),
    }


@pytest.mark.tensorflow
def test_the_activation_at_the_end_of_a_keras_file_is_seen(
    tensorflow: None, stripes_dataset: Dataset, tmp_path: Path
) -> None:
    import keras
    import tf_keras

    for package, name in ((tf_keras, "tf_keras"), (keras, "keras")):
        for what, (model, expected) in keras_models(package).items():
            model.save(tmp_path / "model.keras")
            assert shown(tmp_path / "model.keras", stripes_dataset, name) == expected, f"{name}: {what}"


@pytest.mark.tensorflow
def test_the_activation_at_the_end_of_a_litert_file_is_seen(
    tensorflow: None, stripes_dataset: Dataset, tmp_path: Path
) -> None:
    import tensorflow as tf
    import tf_keras

    for what in ("activation", "sigmoid", "logits"):
        model, expected = keras_models(tf_keras)[what]
        for io in ("float32", "int8"):
            converter = tf.lite.TFLiteConverter.from_keras_model(model)
            if io == "int8":
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.representative_dataset = lambda: ([stripes_dataset.inputs("train", slice(0, 1))],)
            (tmp_path / "model.tflite").write_bytes(converter.convert())
            assert shown(tmp_path / "model.tflite", stripes_dataset, "tflite") == expected, f"{what}, {io}"


def test_the_activation_at_the_end_of_an_onnx_file_is_seen(stripes_dataset: Dataset, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    ends = {
        ("Softmax",): SOFTMAX,
        ("Softmax", "Cast", "Identity"): SOFTMAX,
        ("Sigmoid",): SIGMOID,
        ("Sigmoid", "Identity"): SIGMOID,
        ("Sigmoid", "Softmax"): SOFTMAX,
        ("Relu",): NOTHING,
        ("Softmax", "Relu"): NOTHING,
        ("LogSoftmax",): NOTHING,  # whose softmax is the probabilities
    }
    for kinds, expected in ends.items():
        names = ["x", *(f"t{i}" for i in range(len(kinds) - 1)), "y"]
        nodes = [
            helper.make_node(kind, [names[i]], [names[i + 1]], **({"to": 1} if kind == "Cast" else {}))
            for i, kind in enumerate(kinds)
        ]
        tensors = [helper.make_tensor_value_info(name, 1, ["n", 3]) for name in ("x", "y")]
        onnx.save(helper.make_model(helper.make_graph(nodes, "g", tensors[:1], tensors[1:])), tmp_path / "model.onnx")
        assert shown(tmp_path / "model.onnx", stripes_dataset, "onnx") == expected, kinds


def test_each_of_several_outputs_ends_in_an_activation_of_its_own(stripes_dataset: Dataset, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    kinds = {"gates": "Sigmoid", "scores": "Softmax", "state": "Relu"}
    nodes = [helper.make_node(kind, ["x"], [name]) for name, kind in kinds.items()]
    x, *ends = (helper.make_tensor_value_info(name, 1, ["n", 3]) for name in ("x", *kinds))
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [x], ends)), tmp_path / "model.onnx")
    expected: dict[str, Activation | None] = {"gates": "sigmoid", "scores": "softmax", "state": None}
    assert shown(tmp_path / "model.onnx", stripes_dataset, "onnx") == FileFacts(
        activation="sigmoid", activations=expected
    )


@pytest.mark.torch
def test_the_activation_at_the_end_of_a_torch_program_is_seen(
    torch: None, stripes_dataset: Dataset, tmp_path: Path
) -> None:
    from torch import nn, zeros

    from modelyard_plugins.support.torch.program import export_program, save_program

    ends = {nn.Softmax(dim=1): SOFTMAX, nn.Sigmoid(): SIGMOID, nn.Identity(): NOTHING, nn.LogSoftmax(dim=1): NOTHING}
    for last, expected in ends.items():
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3), last).eval()
        save_program(export_program(model, zeros(2, 8, 8, 1), "net", print), tmp_path / "model.pt2")
        assert shown(tmp_path / "model.pt2", stripes_dataset, "torch") == expected, last


@pytest.mark.parametrize("name", ["tf_keras", "keras", "onnx", "tflite", "torch"])
def test_a_file_that_cannot_be_read_shows_nothing(stripes_dataset: Dataset, tmp_path: Path, name: str) -> None:
    for data in (b"", b"nothing of the kind " * 9, b"\0" * 64, b"PK\5\6" + bytes(18)):
        (tmp_path / "model").write_bytes(data)
        assert shown(tmp_path / "model", stripes_dataset, name) == NOTHING


def test_a_format_that_is_not_known_is_left_to_others(stripes_dataset: Dataset, tmp_path: Path) -> None:
    assert shown(tmp_path / "model", stripes_dataset, "matrix") is None
