from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.plugins.conftest import Bench, Trained
from tests.plugins.keras3 import only_convolutions
from tests.shared import usual

from modelyard.artifacts import Model
from modelyard.component import check_values, parameters_of
from modelyard.errors import ConfigError, DataError, StageFailed

pytestmark = pytest.mark.tensorflow


def run(optimizer: Any, bench: Any, trained: Any, **params: Any) -> Any:
    context = bench.optimize(trained.dataset, trained.model)
    optimizer(context, **params)
    return context


@pytest.fixture(scope="module")
def right(keras3_trained: Trained) -> np.ndarray:
    """What the float model answers to the test split."""
    from modelyard_plugins.support.keras.keras3_files import load_keras3

    return np.asarray(load_keras3(keras3_trained.model.path)(keras3_trained.dataset.inputs("test")))


def onnx_answers(path: Any, inputs: Any) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"image": inputs})[0]


def litert_answers(path: Any, inputs: Any) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], inputs.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def test_onnx_answers_as_keras_does_with_names_that_stay(
    bench: Bench, keras3_trained: Trained, right: np.ndarray
) -> None:
    import onnx

    from modelyard_plugins.optimizers.keras_onnx import keras_onnx

    context = run(keras_onnx, bench, keras3_trained)

    inputs = keras3_trained.dataset.inputs("test")
    np.testing.assert_allclose(onnx_answers(context.out / "model.onnx", inputs), right, atol=1e-4)
    model = onnx.load(context.out / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert context.metrics["size_bytes"] == (context.out / "model.onnx").stat().st_size


def test_litert_answers_as_keras_does(bench: Bench, keras3_trained: Trained, right: np.ndarray) -> None:
    from modelyard_plugins.optimizers.keras_litert import keras_litert

    context = run(keras_litert, bench, keras3_trained)

    inputs = keras3_trained.dataset.inputs("test")
    np.testing.assert_allclose(litert_answers(context.out / "model.tflite", inputs), right, atol=1e-4)


def test_a_saved_model_takes_raw_samples_and_answers_probabilities(
    bench: Bench, keras3_trained: Trained, right: np.ndarray
) -> None:
    import tensorflow as tf

    from modelyard_plugins.optimizers.keras_saved_model import keras_saved_model

    context = bench.optimize(keras3_trained.dataset, keras3_trained.model)
    facts = keras_saved_model(context)

    serve = tf.saved_model.load(str(context.out / "saved_model")).signatures["serving_default"]
    answer = serve(input=tf.constant(keras3_trained.dataset.x("test")))["probabilities"].numpy()
    np.testing.assert_allclose(answer, tf.nn.softmax(right).numpy(), atol=1e-4)
    assert facts.output == "probabilities"


@pytest.mark.parametrize("mode", usual(["int8", "float8", "int4"], 2))
def test_keras_quantizes_its_dense_layers_and_says_which_it_leaves(
    bench: Bench, keras3_trained: Trained, right: np.ndarray, mode: str
) -> None:
    from modelyard_plugins.optimizers.keras_quantize import keras_quantize
    from modelyard_plugins.support.keras.keras3_files import load_keras3

    context = run(keras_quantize, bench, keras3_trained, mode=mode)

    model = load_keras3(context.out / "model.keras")
    assert {layer.name for layer in model.layers if getattr(layer, "quantization_mode", None) == mode} == {
        "dense",
        "logits",
    }
    assert context.metrics["layers_quantized"] == 2
    assert any("conv (Conv2D), norm (BatchNormalization): left in float32" in line for line in context.warnings)
    answer = np.asarray(model(keras3_trained.dataset.inputs("test")))
    assert 0 < np.abs(answer - right).max() < 0.2 * right.std() + 0.5
    assert (answer.argmax(axis=1) == right.argmax(axis=1)).mean() > 0.95
    smaller = context.metrics["size_bytes"] < keras3_trained.model.path.stat().st_size
    assert smaller == (mode != "float8")
    assert any("not smaller than before" in line for line in context.warnings) == (mode == "float8")


@pytest.mark.parametrize("mode", ["gptq", "awq"])
def test_modes_that_keras_cannot_save_are_refused_by_name_with_the_reason_and_what_fits(mode: str) -> None:
    from modelyard_plugins.optimizers.keras_quantize import keras_quantize

    parameters = parameters_of(keras_quantize, "here")
    with pytest.raises(ConfigError) as found:
        check_values(parameters, {"mode": mode}, "here")
    told = str(found.value)
    assert told.startswith(
        f"here: key 'mode': {mode!r} is not allowed: Keras up to 3.15 saves such a layer without its"
    )
    assert "\n  allowed: one of 'int8', 'int4', 'float8'; for 4-bit weights take mode = \"int4\"; to calibrate" in told
    assert told.count("\n") == 1


def test_skip_leaves_a_layer_and_refuses_one_that_is_not_there(bench: Bench, keras3_trained: Trained) -> None:
    from modelyard_plugins.optimizers.keras_quantize import keras_quantize

    context = run(keras_quantize, bench, keras3_trained, mode="int4", skip=("logits",))
    assert context.metrics["layers_quantized"] == 1
    with pytest.raises(ConfigError, match=r"no layer 'logit', did you mean 'logits'\?\n  layers: conv, dense"):
        run(keras_quantize, bench, keras3_trained, skip=("logit",))


def test_a_model_without_a_dense_layer_is_refused(bench: Bench, keras3_trained: Trained, tmp_path: Path) -> None:
    from modelyard_plugins.optimizers.keras_quantize import keras_quantize
    from modelyard_plugins.support.keras.keras3_files import save_keras3

    save_keras3(only_convolutions((8, 8, 1), 3), tmp_path / "model.keras")
    model = bench.open_model(tmp_path, keras3_trained.dataset, "keras")
    with pytest.raises(
        StageFailed, match=r"no layer of 'only_convolutions' was quantized.*\n  layers with weights: conv"
    ):
        keras_quantize(bench.optimize(keras3_trained.dataset, model))


@pytest.fixture
def quantized(bench: Bench, keras3_trained: Trained) -> Callable[..., Any]:
    """Give a model that Keras quantized: `quantized("int4")`."""
    from modelyard_plugins.optimizers.keras_quantize import keras_quantize

    def make(mode: str) -> Model:
        context = run(keras_quantize, bench, keras3_trained, mode=mode)
        return bench.open_model(context.out, keras3_trained.dataset, "keras_quantized")

    return make


@pytest.mark.thorough
def test_a_quantized_model_becomes_onnx_in_int8_but_not_in_float8(
    bench: Bench, keras3_trained: Trained, quantized: Callable[..., Any]
) -> None:
    import onnx

    from modelyard_plugins.optimizers.keras_onnx import keras_onnx
    from modelyard_plugins.optimizers.keras_quantize import keras_quantize
    from modelyard_plugins.support.keras.keras3_files import load_keras3

    inputs = keras3_trained.dataset.inputs("test")
    warned = {}
    for mode in ("int8", "int4"):
        context = bench.optimize(keras3_trained.dataset, quantized(mode))
        keras_onnx(context)
        np.testing.assert_allclose(
            onnx_answers(context.out / "model.onnx", inputs),
            np.asarray(load_keras3(context.model.path)(inputs)),
            atol=0.05,
        )
        kinds = [node.op_type for node in onnx.load(context.out / "model.onnx").graph.node]
        assert kinds.count("MatMulInteger") == (2 if mode == "int8" else 0)
        warned[mode] = any("stored as float32" in line for line in context.warnings)
    assert warned == {"int8": False, "int4": True}
    float8 = quantized("float8")
    with pytest.raises(StageFailed, match=r"cannot convert the float8 layers.*\n  quantize with mode = 'int8'"):
        keras_onnx(bench.optimize(keras3_trained.dataset, float8))
    with pytest.raises(StageFailed, match=r"quantized already: dense, logits\n  quantize once"):
        keras_quantize(bench.optimize(keras3_trained.dataset, float8))


def test_a_layer_that_onnx_lacks_is_named(bench: Bench, keras3_trained: Trained, tmp_path: Path) -> None:
    import keras
    import tensorflow as tf

    from modelyard_plugins.optimizers.keras_onnx import keras_onnx
    from modelyard_plugins.support.keras.keras3_files import save_keras3

    @keras.saving.register_keras_serializable("modelyard-tests")
    class Bessel(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return tf.math.special.bessel_j0(x)

    odd = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), Bessel(), keras.layers.Dense(3)], name="odd"
    )
    save_keras3(odd, tmp_path / "model.keras")
    context = bench.optimize(keras3_trained.dataset, bench.open_model(tmp_path, keras3_trained.dataset, "keras"))
    with pytest.raises(
        StageFailed, match=r"'odd' cannot be converted to ONNX, which .*BesselJ0 \('.*bessel.*\n  replace the layer"
    ):
        keras_onnx(context)


def test_a_damaged_parent_is_named(bench: Bench, keras3_trained: Trained, tmp_path: Path) -> None:
    from modelyard_plugins.optimizers.keras_litert import keras_litert

    data = keras3_trained.model.path.read_bytes()
    (tmp_path / "model.keras").write_bytes(data[: len(data) // 2])
    model = bench.open_model(tmp_path, keras3_trained.dataset, "keras")
    with pytest.raises(DataError, match=r"model\.keras: cannot be read as a model of Keras 3"):
        keras_litert(bench.optimize(keras3_trained.dataset, model))
