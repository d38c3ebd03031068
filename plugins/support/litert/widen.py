"""Weights that a LiteRT model keeps in float16, and widens whenever it runs, as float32 in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DEQUANTIZE = 6
_FLOAT32, _FLOAT16 = 0, 1
"""Source: TensorFlow Lite's schema, `BuiltinOperator` and `TensorType`."""


def widened(path: Path) -> bytes | None:
    """Return the model in `path` with its constants of float16 as float32: it answers the same. None: it has none.

    Operators are named as the schema does since 2020, which ai-edge-quantizer takes older files to do, too. A model with
    other operators on float16 keeps those.
    """
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils as flatbuffer

    model = flatbuffer.read_model(str(path))
    for code in model.operatorCodes:
        code.builtinCode = max(code.builtinCode, code.deprecatedBuiltinCode)
    counts = [_widen(model, number) for number in range(len(model.subgraphs))]
    return _packed(model) if any(counts) else None


def _widen(model: Any, number: int) -> int:
    """Let constants take the place of the operators of a subgraph that widen them; return how many."""
    subgraph = model.subgraphs[number]
    found = {id(operator) for operator in _widening(model, subgraph)}
    for operator in subgraph.operators:
        if id(operator) in found:
            _hold(model, subgraph.tensors[operator.outputs[0]], _values(model, subgraph.tensors[operator.inputs[0]]))
    subgraph.operators = [one for one in subgraph.operators if id(one) not in found]
    places = _drop(subgraph)
    for signature in model.signatureDefs or ():
        if signature.subgraphIndex == number:
            for tensor in (*signature.inputs, *signature.outputs):
                tensor.tensorIndex = places[tensor.tensorIndex]
    return len(found)


def _widening(model: Any, subgraph: Any) -> Iterator[Any]:
    """Yield the operators that make float32 of a constant of float16."""
    for operator in subgraph.operators:
        if model.operatorCodes[operator.opcodeIndex].builtinCode == _DEQUANTIZE:
            tensor = subgraph.tensors[operator.inputs[0]]
            if tensor.type == _FLOAT16 and model.buffers[tensor.buffer].data is not None:
                yield operator


def _values(model: Any, tensor: Any) -> Any:
    import numpy as np

    return np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.float16).astype(np.float32)


def _hold(model: Any, tensor: Any, values: Any) -> None:
    """Let `tensor` be a constant."""
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    model.buffers.append(buffer)
    tensor.buffer = len(model.buffers) - 1
    tensor.type = _FLOAT32


def _drop(subgraph: Any) -> dict[int, int]:
    """Remove the tensors that no operator takes or gives any more; return the new number of each that is left."""
    used = {*subgraph.inputs, *subgraph.outputs}
    for operator in subgraph.operators:
        used |= {index for index in (*operator.inputs, *operator.outputs, *_inside(operator)) if index >= 0}
    kept = sorted(used)
    places = {old: new for new, old in enumerate(kept)} | {-1: -1}
    subgraph.tensors = [subgraph.tensors[index] for index in kept]
    subgraph.inputs, subgraph.outputs = ([places[one] for one in each] for each in (subgraph.inputs, subgraph.outputs))
    for operator in subgraph.operators:
        operator.inputs = [places[index] for index in operator.inputs]
        operator.outputs = [places[index] for index in operator.outputs]
        operator.intermediates = [places[index] for index in _inside(operator)] or None
    return places


def _inside(operator: Any) -> tuple[int, ...]:
    """Return the tensors that an operator keeps to itself; few have such."""
    return () if operator.intermediates is None else tuple(operator.intermediates)


def _packed(model: Any) -> bytes:
    """Return the file: without the values that no tensor holds any more."""
    import flatbuffers

    held = {tensor.buffer for subgraph in model.subgraphs for tensor in subgraph.tensors}
    held |= {entry.buffer for entry in model.metadata or ()}
    for index, buffer in enumerate(model.buffers):
        if index not in held:
            buffer.data = None
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
