from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.plugins.conftest import Bench, Trained
from tests.shared import there

from modelyard.errors import ConfigError, DataError, StageFailed
from modelyard.serving.backends.litert import open_model
from modelyard.testing import check_optimizer, measure, write_small_project
from modelyard_plugins.optimizers.edge_quantize import edge_quantize

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(find_spec("ai_edge_quantizer") is None, reason="needs the extra 'edge'"),
]


@pytest.fixture(scope="module")
def converted(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Give the trained network as LiteRT, by the name of the model optimizer that makes it."""
    from tests.plugins.conftest import Bench

    from modelyard_plugins.optimizers import dynamic_range, float16, float32, int8

    functions = {
        "float32": float32.float32,
        "float16": float16.float16,
        "dynamic-range": dynamic_range.dynamic_range,
        "int8": int8.int8,
    }

    def make(name: str) -> Any:
        bench = Bench(tmp_path_factory.mktemp(name))
        context = bench.optimize(trained.dataset, trained.model)
        functions[name](context)
        return bench.open_model(context.out, trained.dataset, "tflite")

    return make


@pytest.fixture(scope="module")
def parent(converted: Callable[..., Any]) -> Any:
    return converted("float32")


def run(bench: Any, trained: Any, parent: Any, **params: Any) -> Any:
    context = bench.optimize(trained.dataset, parent, params.pop("seed", 0))
    edge_quantize(context, **params)
    return context


@pytest.mark.parametrize(
    ("recipe", "ratio", "io"),
    [
        ("dynamic_wi8_afp32", 3.0, "float32"),
        pytest.param("dynamic_wi4_afp32", 4.5, "float32", marks=pytest.mark.thorough),
        pytest.param("weight_only_wi8_afp32", 2.9, "float32", marks=pytest.mark.thorough),
        pytest.param("weight_only_wi4_afp32", 4.3, "float32", marks=pytest.mark.thorough),
        ("static_wi8_ai8", 2.8, "int8"),
        pytest.param("static_wi8_ai16", 2.7, "int16", marks=pytest.mark.thorough),
    ],
)
def test_each_recipe_makes_it_smaller_and_the_runtime_answers_as_before(
    bench: Bench, trained: Trained, parent: Any, recipe: str, ratio: float, io: str
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    context = run(bench, trained, parent, recipe=recipe, calibration_samples=50)
    model = bench.open_model(context.out, trained.dataset, "tflite")

    assert {p.name for p in context.out.iterdir()} == {"model.tflite", "model.json"}
    size = model.path.stat().st_size
    assert context.metrics["size_bytes"] == size
    assert parent.path.stat().st_size / size >= ratio
    assert np.dtype(Interpreter(model_path=str(model.path)).get_input_details()[0]["dtype"]).name == io
    raw = trained.dataset.x("test")
    found, right = open_model(model.folder).predict(raw), open_model(parent.folder).predict(raw)
    assert 0 < np.abs(found - right).max() < 0.35
    assert (found.argmax(axis=1) == right.argmax(axis=1)).mean() > 0.95
    assert context.metrics.get("calibration_samples") == (50 if recipe.startswith("static") else None)
    assert any("reference kernels on x86" in line for line in context.warnings) == (recipe == "static_wi8_ai16")


def test_ranges_come_from_the_seeded_training_samples(bench: Bench, trained: Trained, parent: Any) -> None:
    digests = [
        hashlib.sha256(
            (
                run(bench, trained, parent, recipe="static_wi8_ai8", calibration_samples=6, seed=seed).out
                / "model.tflite"
            ).read_bytes()
        ).hexdigest()
        for seed in (0, 0, 1)
    ]

    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


@pytest.mark.parametrize(("name", "kind"), [("int8", "int32, int8"), ("dynamic-range", "int8")])
def test_a_quantized_parent_is_refused(
    bench: Bench, trained: Trained, converted: Callable[..., Any], name: str, kind: str
) -> None:
    message = rf"model\.tflite: the model is quantized already: it holds {kind}\n  begin with a float32 model"
    with pytest.raises(StageFailed, match=message):
        run(bench, trained, converted(name))


def test_weights_that_are_kept_in_float16_are_widened_first(
    bench: Bench, trained: Trained, parent: Any, converted: Callable[..., Any]
) -> None:
    made = [run(bench, trained, one).out for one in (converted("float16"), parent)]
    models = [bench.open_model(out, trained.dataset, "tflite") for out in made]
    found, right = (open_model(model.folder).predict(trained.dataset.x("test")) for model in models)
    np.testing.assert_allclose(found, right, atol=0.02)


def test_a_widened_model_answers_the_same(
    trained: Trained, parent: Any, converted: Callable[..., Any], tmp_path: Path
) -> None:
    from modelyard_plugins.support.litert.model import open_float
    from modelyard_plugins.support.litert.widen import widened

    narrow = converted("float16")
    (tmp_path / "model.tflite").write_bytes(there(widened(narrow.path)))
    shutil.copy(narrow.folder / "model.json", tmp_path)
    open_float(tmp_path / "model.tflite")
    raw = trained.dataset.x("test")
    assert (open_model(tmp_path).predict(raw) == open_model(narrow.folder).predict(raw)).all()
    assert widened(parent.path) is None


def test_skip_leaves_operators_in_float32(bench: Bench, trained: Trained, parent: Any) -> None:
    whole, part = run(bench, trained, parent), run(bench, trained, parent, skip=("logits",))
    assert whole.metrics["size_bytes"] < part.metrics["size_bytes"] < parent.path.stat().st_size
    with pytest.raises(ConfigError, match=r"skip: 'nope' matches no operator\n  names: .*conv1"):
        run(bench, trained, parent, skip=("nope",))
    with pytest.raises(StageFailed, match=r"quantized next to nothing: .*\n  use another recipe, or skip less"):
        run(bench, trained, parent, skip=(".",))


def test_a_damaged_parent_is_named(bench: Bench, trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(b"not a model")
    with pytest.raises(DataError, match=r"model\.tflite: cannot be read as a LiteRT model"):
        run(bench, trained, bench.open_model(tmp_path, trained.dataset, "tflite"))


@pytest.mark.thorough
@pytest.mark.slow
def test_it_keeps_the_contract(tmp_path: Path) -> None:
    project = write_small_project(tmp_path / "project")
    refused: list[dict[str, Any]] = [{"recipe": "static_wi4"}, {"skip": ["nope"]}, {"calibration_samples": 0}]
    checked = check_optimizer("edge-quantize", project=project, params={"recipe": "static_wi8_ai8"}, refuses=refused)

    baseline = measure(project, ["float32"])
    assert checked.evaluation.metric("accuracy").value >= baseline.metric("accuracy").value - 0.03
    assert checked.evaluation.size_bytes < baseline.size_bytes


def test_a_network_that_cannot_take_a_sample_that_is_1_long_is_told(bench: Bench, tmp_path: Path) -> None:
    import tensorflow as tf
    from tests.plugins.conftest import no_progress, open_model
    from tests.tasks import write_dataset

    from modelyard.artifacts import Dataset, Splits
    from modelyard.files.ragged import RaggedArray

    x: Any = RaggedArray.of(np.ones((50, 1), np.float32), np.array([0, 20, 50]), 0)
    y = np.arange(2)
    write_dataset(Splits(x, y, x, y, ["a", "b"], None), tmp_path, normalize="none", progress=no_progress)
    layers = tf.keras.layers
    net = [layers.Input((None, 1)), layers.Conv1D(2, 16), layers.GlobalMaxPooling1D()]
    made = bench.stage().out
    converter = tf.lite.TFLiteConverter.from_keras_model(tf.keras.Sequential(net))
    (made / "model.tflite").write_bytes(converter.convert())
    dataset = Dataset.open(tmp_path)
    context = bench.optimize(dataset, open_model(made, dataset, "tflite"))
    with pytest.raises(
        StageFailed, match=r"begins with a sample that is 1 long, which the model cannot take: .*\n  use a"
    ):
        edge_quantize(context, recipe="static_wi8_ai8")
