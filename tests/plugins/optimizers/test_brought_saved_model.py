"""A SavedModel that somebody brings, through the trainer `import` and each conversion."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.plugins.conftest import Bench, Trained

from modelyard.artifacts import Model, format_file, self_contained
from modelyard.errors import DataError
from modelyard.files.json import write_json
from modelyard.signature import TensorSpec
from modelyard_plugins.support.own_server import OwnServer

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="session")
def exported(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained network as TensorFlow itself writes it."""
    import tensorflow as tf

    from modelyard_plugins.support.keras_files import load_keras

    folder = tmp_path_factory.mktemp("exported") / "somebody"
    tf.saved_model.save(load_keras(trained.model.path), str(folder))
    (folder / "assets").rmdir()
    return folder


@pytest.fixture
def bring(trained: Trained, bench: Bench) -> Callable[..., Model]:
    """Return what imports a folder as the stage `train` does."""
    from modelyard_plugins.trainers.import_ import import_model

    def run(path: Path, **params: Any) -> Model:
        context = bench.train(trained.dataset, lambda *_: None)
        told = import_model(context, path=str(path), model_format="saved_model", **params)
        facts = msgspec.structs.replace(told or context.facts, format="tf_saved_model", file="saved_model")
        write_json(context.out / "model.json", facts)
        return Model.open(context.out)

    return run


def optimized(bench: Bench, trained: Trained, model: Model, name: str, form: str) -> Model:
    context = bench.optimize(trained.dataset, model)
    component = getattr(importlib.import_module(f"modelyard_plugins.optimizers.{name}"), name)
    facts = component(context) or model.facts
    if form == "saved_model":
        facts = self_contained(facts)
    write_json(context.out / "model.json", msgspec.structs.replace(facts, format=form, file=format_file(form)))
    return Model.open(context.out)


def answers(model: Model, runtime: str, raw: Any) -> Any:
    module = importlib.import_module(f"modelyard_plugins.runtimes.{runtime}")
    if runtime == "tensorflow_serving":
        return module._SavedModel(model).predict(raw)  # the number of TensorFlow's threads can be set once in a process
    return getattr(module, runtime)(model.folder, params=OwnServer()).predict(raw)


@pytest.fixture(scope="module")
def expected(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the network answers to the test split by itself."""
    bench = Bench(tmp_path_factory.mktemp("expected"))
    made = optimized(bench, trained, trained.model, "float32", "tflite")
    return answers(made, "litert", np.asarray(trained.dataset.x("test")))


@pytest.mark.parametrize(
    ("name", "form", "runtime", "near"),
    [
        pytest.param("float32", "tflite", "litert", 1e-5, marks=pytest.mark.thorough),
        pytest.param("float16", "tflite", "litert", 1e-2, marks=pytest.mark.thorough),
        pytest.param("dynamic_range", "tflite", "litert", 5e-2, marks=pytest.mark.thorough),
        pytest.param("int8", "tflite", "litert", 0.1, marks=pytest.mark.thorough),
        ("saved_model_onnx", "onnx", "onnxruntime", 1e-5),
        ("saved_model", "saved_model", "tensorflow_serving", 1e-5),
    ],
)
def test_it_answers_as_the_network_that_it_was_written_from(
    name: str,
    form: str,
    runtime: str,
    near: float,
    exported: Path,
    expected: Any,
    bring: Callable[..., Model],
    trained: Trained,
    bench: Bench,
) -> None:
    raw = np.asarray(trained.dataset.x("test"))
    made = optimized(bench, trained, bring(exported), name, form)
    np.testing.assert_allclose(answers(made, runtime, raw), expected, atol=near)


def test_one_of_several_signatures_is_meant_and_outputs_of_one_shape_are_not_swapped(
    bring: Callable[..., Model], trained: Trained, bench: Bench, tmp_path: Path
) -> None:
    import tensorflow as tf

    from modelyard_plugins.support.keras.brought_saved_model import brought_facts

    pixels = tf.TensorSpec((None, 8, 8, 1), tf.float32, "pixels")

    @tf.function(input_signature=[pixels])
    def both(pixels: Any) -> Any:
        sums = tf.reduce_sum(pixels, axis=(1, 2))
        return {"onset": tf.repeat(sums, 3, axis=1), "note": tf.repeat(-sums, 3, axis=1)}

    @tf.function(input_signature=[pixels])
    def other(pixels: Any) -> Any:
        return {"size": tf.reduce_sum(pixels)}

    module = tf.Module()
    module.both, module.other = both, other
    tf.saved_model.save(module, str(tmp_path / "m"), {"transcribe": both, "measure": other})

    with pytest.raises(DataError, match=r"its signatures are measure, transcribe; none is called 'serving_default'"):
        bring(tmp_path / "m")
    with pytest.raises(DataError, match=r"has no signature 'transcrib', did you mean 'transcribe'\?"):
        bring(tmp_path / "m", signature="transcrib")
    for output, sign in (("onset", 1), ("note", -1)):
        brought = bring(tmp_path / "m", signature="transcribe", output=output, answers="probabilities")
        signature = brought_facts(brought.path).signature
        assert signature is not None
        assert [one.name for one in signature.outputs] == ["note", "onset"]
        made = optimized(bench, trained, brought, "float32", "tflite")
        raw = np.asarray(trained.dataset.x("test"))[:4]
        sums = trained.dataset.inputs("test", slice(4)).sum(axis=(1, 2, 3))
        np.testing.assert_allclose(answers(made, "litert", raw)[:, 0], sign * sums, rtol=1e-4)


def test_its_file_stays_what_it_is_and_shows_its_signature(exported: Path, bring: Callable[..., Model]) -> None:
    from modelyard_plugins.support.keras.brought_saved_model import brought_facts

    brought = bring(exported)
    for file in ("saved_model.pb", "variables/variables.index"):
        assert (brought.path / file).read_bytes() == (exported / file).read_bytes()
    signature = brought_facts(brought.path).signature
    assert signature is not None
    (taken,), (answered,) = signature.inputs, signature.outputs
    assert taken.shape == ("", 8, 8, 1)
    assert answered == TensorSpec(answered.name, "float32", ("", 3))


def test_what_is_no_saved_model_or_could_do_more_than_compute_is_refused(
    tmp_path: Path, exported: Path, bring: Callable[..., Model]
) -> None:
    import tensorflow as tf

    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: holds no saved_model\.pb, so it is not just a SavedModel"):
        bring(tmp_path / "empty")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "saved_model.pb").write_bytes(b"\x00damaged")
    with pytest.raises(DataError, match="damaged: cannot be read as a SavedModel"):
        bring(tmp_path / "damaged")

    class Writes(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 1))])
        def __call__(self, x: Any) -> Any:
            tf.io.write_file("/tmp/written", "x")
            return tf.reduce_sum(x, axis=(1, 2))

    tf.saved_model.save(Writes(), str(tmp_path / "writes"))
    (tmp_path / "writes" / "assets").rmdir()
    with pytest.raises(DataError, match="operator 'WriteFile', which can do more than compute"):
        bring(tmp_path / "writes")


def test_several_signatures_without_the_usual_one_are_named(tmp_path: Path, bring: Callable[..., Model]) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.sums = tf.function(
        lambda x: {"sums": tf.reduce_sum(x, axis=(1, 2))}, input_signature=[tf.TensorSpec((None, 8, 8, 1), name="x")]
    )
    both = {"one": module.sums, "other": module.sums}
    tf.saved_model.save(module, str(tmp_path / "two"), signatures=both)
    (tmp_path / "two" / "assets").rmdir()
    with pytest.raises(DataError, match=r"its signatures are one, other; none is called 'serving_default'"):
        bring(tmp_path / "two")
