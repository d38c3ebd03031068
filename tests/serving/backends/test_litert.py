from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.serving.backends.litert import open_model, quantize
from modelyard.serving.errors import InputError, StartError
from modelyard.serving.model import CHUNK
from modelyard.serving.tensor_facts import Input

ALL = ["float32", "float32-raw", "batch-3", "int8", "int8-io", "uint8-io", "int16-io", "int8-io-raw"]


@pytest.mark.parametrize("name", ALL)
def test_probabilities_are_those_of_the_interpreter(
    models: Path, raw: np.ndarray, expected: Callable[[Path, np.ndarray], np.ndarray], name: str
) -> None:
    predicted = open_model(models / name).predict(raw)

    assert predicted.dtype == np.float32
    assert predicted.shape == (7, 10)
    np.testing.assert_allclose(predicted, expected(models / name, raw), atol=1e-6)
    np.testing.assert_allclose(predicted.sum(axis=1), 1, atol=1e-5)


def test_models_differ_so_that_the_comparison_means_something(
    models: Path, raw: np.ndarray, expected: Callable[[Path, np.ndarray], np.ndarray]
) -> None:
    answers = [expected(models / name, raw) for name in ("float32", "int8-io", "int16-io")]

    assert not np.array_equal(answers[0], answers[1])
    assert not np.array_equal(answers[0], answers[2])
    np.testing.assert_allclose(answers[0], answers[1], atol=0.05)
    assert np.ptp(answers[0], axis=0).max() > 0.01, "the samples get different answers"


@pytest.mark.parametrize("name", ["float32", "batch-3", "int8-io"])
@pytest.mark.parametrize("batch", [1, 2, 3, 4, CHUNK, CHUNK + 1, 2 * CHUNK + 5])
def test_the_batch_changes_nothing(models: Path, raw: np.ndarray, name: str, batch: Any) -> None:
    model = open_model(models / name)
    many = np.resize(raw, (batch, 8, 8, 1))

    together = model.predict(many)

    np.testing.assert_allclose(together, np.concatenate([model.predict(one[None]) for one in many]), atol=1e-6)


def test_no_samples_give_no_rows(models: Path) -> None:
    assert open_model(models / "float32").predict(np.zeros((0, 8, 8, 1), np.uint8)).shape == (0, 10)


@pytest.mark.parametrize("shape", [(1, 8, 8), (8, 8, 1), (1, 8, 8, 3), (1, 64)])
def test_another_shape_is_an_input_error(models: Path, shape: tuple[Any, ...]) -> None:
    with pytest.raises(InputError, match=r"expected \[-1, 8, 8, 1\]"):
        open_model(models / "float32").predict(np.zeros(shape, np.uint8))


INPUT = Input("input", np.dtype("int64"), ())


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_a_tensor_without_a_scale_holds_whole_numbers_themselves(dtype: Any) -> None:
    held = quantize(np.array([7, 70_000], np.int64), {"dtype": dtype, "quantization": (0.0, 0)}, INPUT)

    assert held.dtype == dtype
    assert held.tolist() == [7, 70_000]


def test_nan_is_an_input_error_for_an_integer_input(models: Path) -> None:
    with pytest.raises(InputError, match="NaN"):
        open_model(models / "int8-io-raw").predict(np.full((1, 8, 8, 1), np.nan, np.float32))


def test_values_beyond_an_integer_input_are_clipped(models: Path) -> None:
    model = open_model(models / "int8-io-raw")

    far = model.predict(np.full((1, 8, 8, 1), 1e30, np.float32))

    np.testing.assert_array_equal(far, model.predict(np.full((1, 8, 8, 1), 1e6, np.float32)))


def test_one_model_serves_many_threads(models: Path, raw: np.ndarray) -> None:
    model = open_model(models / "float32", threads=2)
    alone = [model.predict(raw[: n % 7 + 1]) for n in range(60)]

    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda n: model.predict(raw[: n % 7 + 1]), range(60)))

    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def changed(models: Any, tmp_path: Path, taken: Any = (), answered: Any = ()) -> Path:
    """Return a copy of a model of which `model.json` says something else of its input, or of its output."""
    folder = tmp_path / "model"
    shutil.copytree(models / "float32", folder)
    data = json.loads((folder / "model.json").read_text())
    data["inputs"][0].update(taken)
    data["outputs"][0].update(answered)
    (folder / "model.json").write_text(json.dumps(data))
    return folder


def test_a_model_that_answers_probabilities_gets_no_softmax(
    models: Path, tmp_path: Path, raw: np.ndarray, expected: Callable[[Path, np.ndarray], np.ndarray]
) -> None:
    folder = changed(models, tmp_path, answered={"inside": True})

    logits = open_model(folder).predict(raw)

    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(powers / powers.sum(axis=1, keepdims=True), expected(folder, raw), atol=1e-6)


@pytest.mark.parametrize("facts", [{"taken": {"shape": [8, 8, 3]}}, {"answered": {"shape": [2]}}])
def test_a_model_json_that_does_not_fit_is_refused(models: Path, tmp_path: Path, facts: dict[str, Any]) -> None:
    with pytest.raises(StartError, match=r"its model\.json says"):
        open_model(changed(models, tmp_path, **facts))


def test_a_damaged_model_is_refused_in_one_line(models: Path, tmp_path: Path) -> None:
    folder = changed(models, tmp_path)
    (folder / "model.tflite").write_bytes(b"not a model")

    with pytest.raises(StartError, match="not a model that LiteRT can run") as caught:
        open_model(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("order", ["note-onset", "onset-note"])
def test_outputs_of_one_shape_are_told_apart_by_their_names(models: Path, order: str) -> None:
    raw = np.array([[0.5, -1, 2, 0]], np.float32)
    found = open_model(models / "swapped" / order).run({"x": raw})

    assert list(found) == order.split("-")
    np.testing.assert_allclose(found["note"], np.exp(raw) / np.exp(raw).sum(), rtol=1e-4)
    np.testing.assert_allclose(found["onset"], 1 / (1 + np.exp(-raw)), rtol=1e-4)


def test_each_of_several_outputs_shows_the_activation_that_it_ends_in(models: Path) -> None:
    from modelyard_plugins.support.litert.facts import litert_facts

    shown = litert_facts(models / "swapped" / "note-onset" / "model.tflite")
    assert shown.activations == {"note": "softmax", "onset": "sigmoid"}


@pytest.mark.parametrize("count", [1, 2, CHUNK + 3])
def test_texts_go_in_and_come_out(models: Path, count: int) -> None:
    texts = np.array([b"hello", "w\u00f6rd".encode(), b"a\0\0"] * count, object)[:count]
    found = open_model(models / "texts").run({"text": texts})

    assert found["same"].tolist() == [one == b"hello" for one in texts]
    assert found["answer"].tolist() == [b"good day" if one == b"hello" else b"who?" for one in texts]


def test_samples_may_have_to_be_longer_than_the_file_says(models: Path) -> None:
    model = open_model(models / "window")
    with pytest.raises(InputError, match="cannot be run on these samples"):
        model.run({"sound": np.ones((1, 3, 1), np.float32)})
    for length in (16, 40):
        assert model.run({"sound": np.ones((2, length, 1), np.float32)})["loudest"].tolist() == [[16], [16]]


def test_texts_where_the_file_has_numbers_and_numbers_where_it_has_texts_are_told(models: Path, tmp_path: Path) -> None:
    for name, dtype, told in (
        ("texts", "float32", "is bytes; model.json says float32"),
        ("swapped/note-onset", "bytes", "is float32; model.json says bytes"),
    ):
        folder = shutil.copytree(models / name, tmp_path / name.replace("/", "-"))
        facts = json.loads((folder / "model.json").read_text())
        facts["inputs"][0]["dtype"] = dtype
        (folder / "model.json").write_text(json.dumps(facts))
        with pytest.raises(StartError, match=told):
            open_model(folder)
