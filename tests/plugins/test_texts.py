"""Models of both Keras that take texts themselves, beside numbers: trained, written as SavedModels, and asked; what cannot take texts says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.plugins import calling
from tests.plugins.chains import FORMATS, component, keras_of
from tests.plugins.conftest import Bench, no_progress, open_model
from tests.plugins.test_several_inputs import accuracy, optimized
from tests.tasks import write_dataset

from modelyard.artifacts import Dataset, Splits
from modelyard.errors import PluginError, StageFailed

WORDS = ["red", "grün", "car", "boat"]


@pytest.fixture(scope="session")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A data set of two words, of which the first decides, and numbers that say nothing."""
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 400)
    texts = [f"{WORDS[one]} {WORDS[2 + random.integers(2)]}" for one in y]
    x: dict[str, Any] = {"subject": texts, "size": random.normal(size=(400, 2)).astype(np.float32)}
    train, test = ({name: column[rows] for name, column in x.items()} for rows in (slice(300), slice(300, None)))
    folder = tmp_path_factory.mktemp("subjects")
    write_dataset(Splits(train, y[:300], test, y[300:], ("a", "b")), folder, progress=no_progress)
    return Dataset.open(folder)


def network(keras: Any) -> Any:
    """Return what builds a network that looks up the words of a text."""

    def build(input_shape: dict[str, tuple[int, ...]], classes: int) -> Any:
        layers = keras.layers
        subject = layers.Input(input_shape["subject"], name="subject", dtype="string")
        size = layers.Input(input_shape["size"], name="size")
        words = layers.TextVectorization(vocabulary=WORDS, output_mode="multi_hot")(subject)
        return keras.Model([subject, size], layers.Dense(classes)(layers.Concatenate()([words, size])))

    return build


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("trainer", "writes"),
    [("tensorflow", "saved_model"), pytest.param("keras", "keras_saved_model", marks=pytest.mark.thorough)],
)
def test_a_model_of_texts_is_trained_and_asked(
    trainer: str, writes: str, subjects: Dataset, bench: Bench, tensorflow: None
) -> None:
    context = bench.train(subjects, network(keras_of(trainer)))
    calling.trainer(trainer)(context, epochs=8, learning_rate=0.05)
    model = open_model(context.out, subjects, FORMATS[trainer])
    first = optimized(bench, subjects, model, writes, {})
    keras_of(trainer).backend.clear_session()  # a layer inside of another has no name in the file: it gets the next one
    again = optimized(bench, subjects, model, writes, {})
    assert accuracy(first, "tensorflow_serving", subjects) > 0.9
    assert (first.path / "saved_model.pb").read_bytes() == (again.path / "saved_model.pb").read_bytes()
    name = "tf_keras_onnx" if trainer == "tensorflow" else "keras_onnx"
    converter = getattr(component(f"optimizers.{name}"), name)
    with pytest.raises(
        StageFailed,
        match=r"to ONNX, which has no operator for .*StringSplitV2 \('.*text_vectorization.*\n  for a model of texts name a handler",
    ):
        converter(bench.optimize(subjects, model))


@pytest.mark.tensorflow
def test_keras_quantizes_a_model_of_texts_behind_their_vectorization(
    subjects: Dataset, bench: Bench, tmp_path: Path, tensorflow: None
) -> None:
    from modelyard_plugins.support.keras.keras3_files import save_keras3

    model = network(keras_of("keras"))({"subject": (), "size": (2,)}, 2)
    save_keras3(model, tmp_path / "model.keras")
    context = bench.optimize(subjects, open_model(tmp_path, subjects, "keras"))
    component("optimizers.keras_quantize").keras_quantize(context)
    assert (context.metrics["layers_quantized"], context.metrics["layers_float32"]) == (1, 0)
    quantized = open_model(context.out, subjects, "keras_quantized")
    with pytest.raises(StageFailed, match=r"StringSplitV2.*\n  for a model of texts name a handler"):
        component("optimizers.keras_onnx").keras_onnx(bench.optimize(subjects, quantized))


@pytest.mark.torch
def test_torch_has_no_texts(subjects: Dataset, bench: Bench, torch: None) -> None:
    with pytest.raises(PluginError, match=r"'subject' is texts, of which torch has no tensors\n  name a handler"):
        calling.trainer("torch")(bench.train(subjects, lambda input_shape, classes: None))


def test_rows_of_texts_are_bytes_as_a_model_takes_them(subjects: Dataset) -> None:
    found = subjects.tensors("test", np.array([3, 0]))
    assert found["size"].dtype == np.float32
    assert [one.decode().split()[0] for one in found["subject"]] == [WORDS[subjects.y("test")[row]] for row in (3, 0)]
