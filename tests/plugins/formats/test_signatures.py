"""The tensors that files take and answer, each file written by the framework that others would write it with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.plugins.conftest import model_facts

from modelyard.artifacts import Dataset, Model
from modelyard.signature import Signature, TensorSpec
from modelyard_plugins.formats.known import modelyard_read_model_file


@pytest.fixture
def signature(stripes_dataset: Dataset, tmp_path: Path) -> Any:
    """Gives the signature of the file `name` of `tmp_path`, of the given format."""

    def read(name: str, model_format: str) -> Signature | None:
        facts = msgspec.structs.replace(model_facts(stripes_dataset, model_format), file=name)
        found = modelyard_read_model_file(Model(tmp_path, facts))
        assert found is not None
        return found.signature

    return read


def test_an_onnx_model_with_names_for_axes_and_texts(signature: Any, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    weight = onnx.numpy_helper.from_array(np.ones((4, 2), np.float32), "weight")
    inputs = [
        helper.make_tensor_value_info("x", kinds.FLOAT, ("batch", 4)),
        helper.make_tensor_value_info("weight", kinds.FLOAT, (4, 2)),  # as old exporters list what they bring
        helper.make_tensor_value_info("words", kinds.STRING, (None, "words")),
    ]
    outputs = [helper.make_tensor_value_info("y", kinds.FLOAT, None)]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "weight"], ["y"])], "g", inputs, outputs, [weight])
    onnx.save(helper.make_model(graph), tmp_path / "model.onnx")

    assert signature("model.onnx", "onnx") == Signature(
        (TensorSpec("x", "float32", ("batch", 4)), TensorSpec("words", "bytes", ("", "words"))),
        (TensorSpec("y", "float32", None),),
    )


@pytest.mark.torch
def test_a_program_of_torch_export(signature: Any, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")

    class Both(torch.nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.dense = torch.nn.Linear(4, 3)

        def forward(self, x: Any, ids: Any) -> Any:
            return {"scores": self.dense(x), "count": ids.sum(1)}

    batch = torch.export.Dim("batch")
    sample = (torch.zeros(2, 4), torch.zeros(2, 5, dtype=torch.int64))
    program = torch.export.export(Both().eval(), sample, dynamic_shapes={"x": {0: batch}, "ids": {0: batch}})
    torch.export.save(program, tmp_path / "model.pt2")

    found = signature("model.pt2", "torch")
    (axis,) = {tensor.shape[0] for tensor in (*found.inputs, *found.outputs)}
    assert isinstance(axis, str)
    assert found.inputs == (TensorSpec("x", "float32", (axis, 4)), TensorSpec("ids", "int64", (axis, 5)))
    assert [(one.dtype, one.shape) for one in found.outputs] == [("float32", (axis, 3)), ("int64", (axis,))]


@pytest.mark.tensorflow
@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_keras_models_of_one_and_of_several_tensors(
    signature: Any, tensorflow: None, tmp_path: Path, package: str
) -> None:
    keras = pytest.importorskip(package)
    image, ids = keras.Input((8, 8, 1), name="image"), keras.Input((5,), dtype="int32", name="ids")
    flat = keras.layers.Flatten()(image)
    ends = {"a": keras.layers.Dense(2, name="first")(flat), "b": keras.layers.Dense(3, name="second")(flat)}
    keras.Model({"image": image, "ids": ids}, ends).save(tmp_path / "model.keras")
    found = signature("model.keras", package)
    assert set(found.inputs) == {TensorSpec("image", "float32", ("", 8, 8, 1)), TensorSpec("ids", "int32", ("", 5))}
    assert [(one.name, one.shape) for one in found.outputs] == [("first", None), ("second", None)]

    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="end")]).save(tmp_path / "model.keras")
    found = signature("model.keras", package)
    assert [(one.dtype, one.shape) for one in found.inputs] == [("float32", ("", 4))]
    assert found.outputs == (TensorSpec("end", "float32"),)


@pytest.mark.tensorflow
def test_a_litert_model_with_a_signature_and_without(signature: Any, tensorflow: None, tmp_path: Path) -> None:
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, "x"), tf.TensorSpec((2,), tf.int32, "ids")])
    def both(x: Any, ids: Any) -> Any:
        return {"scores": x + 1.0, "next": ids + 1}

    module = tf.Module()
    module.both = both
    converter = tf.lite.TFLiteConverter.from_concrete_functions([both.get_concrete_function()], module)
    (tmp_path / "model.tflite").write_bytes(converter.convert())
    found = signature("model.tflite", "tflite")
    assert set(found.inputs) == {TensorSpec("x", "float32", ("", 4)), TensorSpec("ids", "int32", (2,))}
    assert {(one.name, one.dtype) for one in found.outputs} == {("scores", "float32"), ("next", "int32")}

    bare = tf.lite.TFLiteConverter.from_concrete_functions([both.get_concrete_function()])
    (tmp_path / "model.tflite").write_bytes(bare.convert())
    found = signature("model.tflite", "tflite")
    assert {one.shape for one in found.inputs} == {("", 4), (2,)}


@pytest.mark.parametrize("name", ["tf_keras", "keras", "onnx", "tflite", "torch"])
def test_a_file_that_cannot_be_read_shows_none(signature: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "model").write_bytes(b"nothing like it")
    assert signature("model", name) is None


def test_an_onnx_model_that_takes_or_answers_what_is_no_tensor_says_what_it_is(signature: Any, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    tensor = helper.make_tensor_type_proto(number, ("n", 4))
    optional = helper.make_value_info("x", helper.make_optional_type_proto(tensor))
    each = helper.make_map_type_proto(onnx.TensorProto.INT64, helper.make_tensor_type_proto(number, ()))
    answered = [
        helper.make_tensor_sequence_value_info("y", number, None),
        helper.make_value_info("z", each),
    ]
    onnx.save(helper.make_model(helper.make_graph([], "g", [optional], answered)), tmp_path / "model.onnx")

    assert signature("model.onnx", "onnx") == Signature(
        (TensorSpec("x", "optional value"),), (TensorSpec("y", "sequence"), TensorSpec("z", "map"))
    )
