"""What an ONNX file shows of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.artifacts import FileFacts
from modelyard.errors import DataError
from modelyard.signature import Signature, TensorSpec
from modelyard.tensors import Activation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PASSING = ("Identity", "Cast", "Reshape", "Squeeze", "Flatten", "Transpose", "QuantizeLinear", "DequantizeLinear")
"""Operators that leave probabilities what they are."""
_ACTIVATIONS: dict[str, Activation] = {
    "Softmax": "softmax",
    "QLinearSoftmax": "softmax",
    "Sigmoid": "sigmoid",
    "QLinearSigmoid": "sigmoid",
}
"""The operators of activations; those on integers are ONNX Runtime's own."""
_SHARED_SCALE = ("DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM")
"""Operators that find one scale for a whole tensor while they run: for all the samples of a batch together.

Source: ONNX, operator DynamicQuantizeLinear; ONNX Runtime, contrib operators.
"""


def onnx_facts(path: Path) -> FileFacts:
    """Return what the model in `path` shows of itself; nothing if it cannot be read here."""
    from modelyard_plugins.support.onnx.model import load_graph

    try:
        model = load_graph(path)
    except (ImportError, OSError, DataError):
        return FileFacts()
    shares = any(node.op_type in _SHARED_SCALE for node in _nodes(model))
    activations = {one.name: _ends_in(model.graph, one.name) for one in model.graph.output}
    return FileFacts(
        activation=next(iter(activations.values()), None),
        activations=activations if len(activations) > 1 else {},
        batch=1 if shares else None,
        signature=onnx_signature(model),
        utf8=True,
    )


def onnx_signature(model: Any) -> Signature:
    """Return what `model`, an `onnx.ModelProto`, takes and answers; what it brings itself is no input."""
    brought = {tensor.name for tensor in model.graph.initializer}
    inputs = tuple(_tensor(one) for one in model.graph.input if one.name not in brought)
    return Signature(inputs, tuple(_tensor(one) for one in model.graph.output))


_NO_TENSORS = {
    "sequence_type": "sequence",
    "map_type": "map",
    "optional_type": "optional value",
    "sparse_tensor_type": "sparse tensor",
}


def _tensor(value: Any) -> TensorSpec:
    if what := _NO_TENSORS.get(value.type.WhichOneof("value")):
        return TensorSpec(value.name, what)
    kind = value.type.tensor_type
    shape = tuple(_axis(one) for one in kind.shape.dim) if kind.HasField("shape") else None
    return TensorSpec(value.name, _dtype(kind.elem_type), shape)


def _axis(dimension: Any) -> int | str:
    """Return the length of an axis, or its name; some exporters write -1 for one that varies."""
    return dimension.dim_value if dimension.dim_value > 0 else str(dimension.dim_param)


def _dtype(number: int) -> str:
    import onnx

    if number == onnx.TensorProto.STRING:
        return "bytes"
    return str(onnx.helper.tensor_dtype_to_np_dtype(number)) if number else ""


def _ends_in(graph: Any, output: str) -> Activation | None:
    makers = {made: node for node in graph.node for made in node.output}
    node = makers.get(output)
    while node is not None and node.op_type in _PASSING:
        node = makers.get(node.input[0])
    return None if node is None else _ACTIVATIONS.get(node.op_type)


def _nodes(model: Any) -> Iterator[Any]:
    """Yield every operator of `model`: of its graph, of the graphs inside of others, and of its functions."""
    todo = [model.graph, *model.functions]
    while todo:
        for node in todo.pop().node:
            yield node
            todo += [graph for one in node.attribute for graph in (one.g, *one.graphs) if graph.node]
