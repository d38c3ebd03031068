from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.plugins.conftest import Bench, Trained

from modelyard import DataError
from modelyard.artifacts import Dataset, Model
from modelyard.errors import StageFailed


def convert(name: str, trained: Any, bench: Any, **params: Any) -> tuple[bytes, dict[str, Any]]:
    from modelyard_plugins.optimizers import dynamic_range, float16, float32, int8, int16x8

    functions: dict[str, Callable[..., None]] = {
        "float32": float32.float32,
        "float16": float16.float16,
        "dynamic-range": dynamic_range.dynamic_range,
        "int8": partial(int8.int8, **params),
        "int16x8": partial(int16x8.int16x8, **params),
    }
    context = bench.optimize(trained.dataset, trained.model)
    functions[name](context)
    assert [p.name for p in context.out.iterdir()] == ["model.tflite"]
    return (context.out / "model.tflite").read_bytes(), context.metrics


def answers(model: bytes, dataset: Dataset) -> np.ndarray:
    """Return what the model answers to the test split, scaled back to float32."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    (given,), (got,) = interpreter.get_input_details(), interpreter.get_output_details()
    rows = []
    for sample in dataset.inputs("test"):
        value = sample[np.newaxis]
        if given["dtype"] == np.int8:
            scale, zero = given["quantization"]
            value = np.clip(np.round(value / scale) + zero, -128, 127).astype(np.int8)
        interpreter.set_tensor(given["index"], value)
        interpreter.invoke()
        answer = interpreter.get_tensor(got["index"])[0]
        if got["dtype"] == np.int8:
            scale, zero = got["quantization"]
            answer = (answer.astype(np.float32) - zero) * scale
        rows.append(answer)
    return np.array(rows)


@pytest.fixture(scope="module")
def keras_answers(trained: Trained) -> np.ndarray:
    from modelyard_plugins.support.keras_files import load_keras

    return load_keras(trained.model.path).predict(trained.dataset.inputs("test"), verbose=0)


@pytest.fixture(scope="module")
def in_float32(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return convert("float32", trained, Bench(tmp_path_factory.mktemp("float32")))[0]


@pytest.mark.parametrize(
    ("name", "params", "tolerance", "smaller"),
    [
        ("float32", {}, 1e-5, 1.0),
        pytest.param("float16", {}, 2e-2, 1.8, marks=pytest.mark.thorough),
        pytest.param("dynamic-range", {}, 0.3, 2.8, marks=pytest.mark.thorough),
        ("int8", {}, 0.6, 2.8),
        pytest.param("int8", {"io": "int8", "calibration_samples": 20}, 0.6, 2.8, marks=pytest.mark.thorough),
        ("int16x8", {"calibration_samples": 20}, 0.3, 2.5),
    ],
)
def test_the_converted_model_answers_as_its_parent(
    trained: Trained,
    bench: Bench,
    keras_answers: np.ndarray,
    in_float32: bytes,
    name: str,
    params: dict[str, Any],
    tolerance: float,
    smaller: float,
) -> None:
    data, metrics = convert(name, trained, bench, **params)
    found = answers(data, trained.dataset)
    assert np.abs(found - keras_answers).max() <= tolerance * max(1, np.abs(keras_answers).max() / 10)
    assert (found.argmax(1) == trained.dataset.y("test")).mean() > 0.9
    assert metrics["size_bytes"] == len(data)
    assert len(in_float32) / len(data) >= smaller


def test_int8_runs_on_integers_inside_and_by_choice_outside(trained: Trained, bench: Bench) -> None:
    from ai_edge_litert.interpreter import Interpreter

    for io, dtype in (("float32", np.float32), ("int8", np.int8)):
        data, metrics = convert("int8", trained, bench, io=io, calibration_samples=50)
        interpreter = Interpreter(model_content=data)
        assert interpreter.get_input_details()[0]["dtype"] == dtype
        assert interpreter.get_output_details()[0]["dtype"] == dtype
        tensors = interpreter.get_tensor_details()
        floats = [t["name"] for t in tensors if t["dtype"] == np.float32 and t["shape"].size > 1]
        assert len(floats) <= (2 if io == "float32" else 0)
        assert metrics["calibration_samples"] == 50


@pytest.mark.parametrize(
    ("name", "dtypes"),
    [
        ("float32", {"float32"}),
        ("float16", {"float16"}),
        ("dynamic-range", {"int8", "float32"}),
        ("int8", {"int8"}),
        ("int16x8", {"int8"}),
    ],
)
def test_the_weights_have_the_type_that_was_promised(
    trained: Trained, bench: Bench, name: str, dtypes: set[str]
) -> None:
    _, metrics = convert(name, trained, bench)
    assert {kernel["dtype"] for kernel in metrics["kernels"].values()} == dtypes
    assert len(metrics["kernels"]) == 4


def test_weights_of_another_type_fail() -> None:
    from modelyard_plugins.support.litert.weights import check_types

    kernels: dict[str, np.ndarray] = {"a": np.zeros((2, 2), np.int8), "b": np.zeros((2, 2), np.float32)}
    check_types(kernels, "int8", at_least=1, advice="")
    with pytest.raises(StageFailed, match=r"made 1 of 2 kernels int8; the others: b \(float32\)\n  do this"):
        check_types(kernels, "int8", advice="do this")


def test_int16x8_warns_where_it_is_slow(trained: Trained, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import platform

    from modelyard_plugins.optimizers.int16x8 import int16x8

    for machine, warned in (("x86_64", 1), ("aarch64", 0)):
        monkeypatch.setattr(platform, "machine", lambda machine=machine: machine)
        context = bench.optimize(trained.dataset, trained.model)
        int16x8(context, calibration_samples=10)
        assert len(context.warnings) == warned


def test_calibration_takes_distinct_seeded_samples_and_no_more_than_there_are(stripes_dataset: Dataset) -> None:
    from modelyard_plugins.support.data.calibration import calibration_rows

    rows = calibration_rows(stripes_dataset, 50, 0)
    assert len(set(rows.tolist())) == 50
    assert np.array_equal(rows, calibration_rows(stripes_dataset, 50, 0))
    assert not np.array_equal(rows, calibration_rows(stripes_dataset, 50, 1))
    assert calibration_rows(stripes_dataset, 10_000, 0).tolist() == list(range(192))


_SCRIPT = """
import sys
from pathlib import Path
from modelyard.artifacts import Dataset, Model
from modelyard.contexts import OptimizeContext
from modelyard_plugins.optimizers.int8 import int8
from modelyard_plugins.optimizers.float32 import float32
from modelyard_plugins.optimizers.prune import prune
dataset, model = Dataset.open(Path(sys.argv[2])), Model.open(Path(sys.argv[3]))
for function in (prune, int8, float32):
    out = Path(sys.argv[1]) / function.__name__
    out.mkdir()
    function(OptimizeContext(out=out, project=out, cache=out, seed=0, progress=lambda *a, **k: None,
                             log=lambda line: None, dataset=dataset, model=model))
"""


@pytest.mark.thorough
def test_another_process_in_another_order_gives_the_same_bytes(trained: Trained, bench: Bench, tmp_path: Path) -> None:
    from modelyard_plugins.optimizers.prune import prune
    from modelyard_plugins.support.tensorflow import TENSORFLOW

    env = {**os.environ, **TENSORFLOW["environment"], "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    env["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    there = tmp_path / "there"
    there.mkdir()
    folders = [str(p) for p in (there, trained.dataset.folder, trained.model.folder)]
    done = subprocess.run([sys.executable, "-c", _SCRIPT, *folders], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    for name in ("float32", "int8"):
        here, _ = convert(name, trained, bench)
        assert hashlib.sha256(here).digest() == hashlib.sha256((there / name / "model.tflite").read_bytes()).digest()
    context = bench.optimize(trained.dataset, trained.model)
    prune(context)
    assert (context.out / "model.keras").read_bytes() == (there / "prune" / "model.keras").read_bytes()


def test_a_damaged_parent_is_named(trained: Trained, bench: Bench, tmp_path: Path) -> None:
    from modelyard_plugins.optimizers.float32 import float32

    data = trained.model.path.read_bytes()
    (tmp_path / "model.keras").write_bytes(data[: len(data) // 2])
    (tmp_path / "model.json").write_bytes((trained.model.folder / "model.json").read_bytes())
    with pytest.raises(DataError, match=r"model\.keras: cannot be read as a Keras model"):
        float32(bench.optimize(trained.dataset, Model.open(tmp_path)))
