from __future__ import annotations

from pathlib import Path

import pytest

from modelyard_plugins.support.keras.flex import with_attributes_in_order

pytestmark = pytest.mark.tensorflow
ATTRIBUTES = {"element_dtype": 1, "num_elements": 12}


def model(operator: str, *names: str) -> bytes:
    """Return a LiteRT model with one operator, which holds attributes in the order of `names`."""
    import flatbuffers
    import numpy as np
    from flatbuffers import flexbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    options = flexbuffers.Builder()
    with options.Vector():
        options.String("TensorListStack")
        options.String(node(*names).decode())
    code, made, graph, whole = schema.OperatorCodeT(), schema.OperatorT(), schema.SubGraphT(), schema.ModelT()
    code.customCode, code.builtinCode = operator, schema.BuiltinOperator.CUSTOM
    made.customOptions = np.frombuffer(bytes(options.Finish()), np.uint8)
    graph.operators, whole.operatorCodes, whole.subgraphs = [made], [code], [graph]
    builder = flatbuffers.Builder()
    builder.Finish(whole.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def node(*names: str) -> bytes:
    """Return a NodeDef with attributes in this order: those of a map may stand in any."""
    from tensorflow.core.framework.node_def_pb2 import NodeDef

    parts = [NodeDef(name="network/stack", op="TensorListStack")]
    for name in names:
        parts.append(NodeDef())
        parts[-1].attr[name].i = ATTRIBUTES[name]
    return b"".join(part.SerializeToString() for part in parts)


def test_attributes_of_tensorflows_operators_are_put_in_order_where_they_are(tensorflow: None) -> None:
    first, second = model("FlexTensorListStack", *ATTRIBUTES), model("FlexTensorListStack", *reversed(ATTRIBUTES))
    assert first != second
    assert with_attributes_in_order(second) == with_attributes_in_order(first) == first


def test_what_else_a_model_holds_stays(tensorflow: None) -> None:
    other = model("Other", *reversed(ATTRIBUTES))
    assert with_attributes_in_order(other) == other


def test_what_keras_exports_is_written_in_order(tmp_path: Path, tensorflow: None) -> None:
    pytest.importorskip("keras")
    from modelyard_plugins.support.keras.keras3_export import write_litert

    class Network:
        """Exports in the order that a hash may bring about: that of a real export differs from process to process."""

        name, outputs = "network", ("answers",)

        def export(self, path: Path, **_: object) -> None:
            path.write_bytes(model("FlexTensorListStack", *reversed(ATTRIBUTES)))

    write_litert(Network(), tmp_path / "model.tflite")
    assert (tmp_path / "model.tflite").read_bytes() == model("FlexTensorListStack", *ATTRIBUTES)
