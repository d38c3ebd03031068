"""What a LiteRT file (`.tflite`) shows of itself, by the schema of its flatbuffer alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.artifacts import FileFacts
from modelyard.signature import Signature, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from modelyard.tensors import Activation


def litert_facts(path: Path) -> FileFacts:
    """Return what the model in `path` shows of itself; nothing if it cannot be read here."""
    import mmap
    import struct

    try:
        schema = _schema()
        with path.open("rb") as file:
            model = schema.Model.GetRootAs(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), 0)
        signature = _signature(schema, model)
        numbers = range(len(signature.outputs))
        activations = {signature.outputs[number].name: _ends_in(schema, model, number) for number in numbers}
    except (
        ImportError,
        OSError,
        ValueError,
        IndexError,
        TypeError,
        AttributeError,
        struct.error,
    ):  # of what is no such file
        return FileFacts()
    return FileFacts(
        activation=next(iter(activations.values()), None),
        activations=activations if len(activations) > 1 else {},
        signature=signature,
        quantized=tuple(_quantized(model, signature)),
    )


def _quantized(model: Any, signature: Signature) -> Iterator[str]:
    """Yield the names of the tensors that hold whole numbers with a scale."""
    graph = model.Subgraphs(0)
    numbers = [graph.Inputs(index) for index in range(graph.InputsLength())]
    numbers += [graph.Outputs(index) for index in range(graph.OutputsLength())]
    for number, one in zip(numbers, (*signature.inputs, *signature.outputs), strict=True):
        scale = graph.Tensors(number).Quantization()
        if scale is not None and scale.ScaleLength() and not one.dtype.startswith("float"):
            yield one.name


def _schema() -> Any:
    """Return the flatbuffer's schema: LiteRT brings it, and so does TensorFlow."""
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError:
        from tensorflow.lite.python import schema_py_generated
    return schema_py_generated


def _signature(schema: Any, model: Any) -> Signature:
    """Return what the model takes and answers, by the names of its one signature, else by those of the tensors."""
    graph = model.Subgraphs(0)
    named: dict[int, str] = {}
    if model.SignatureDefsLength() == 1:
        definition = model.SignatureDefs(0)
        maps = [definition.Inputs(index) for index in range(definition.InputsLength())]
        maps += [definition.Outputs(index) for index in range(definition.OutputsLength())]
        named = {one.TensorIndex(): one.Name().decode() for one in maps}
    return Signature(
        tuple(_tensor(schema, graph, graph.Inputs(index), named) for index in range(graph.InputsLength())),
        tuple(_tensor(schema, graph, graph.Outputs(index), named) for index in range(graph.OutputsLength())),
    )


def _tensor(schema: Any, graph: Any, index: int, named: Mapping[int, str]) -> TensorSpec:
    tensor = graph.Tensors(index)
    lengths = [tensor.Shape(axis) for axis in range(tensor.ShapeLength())]
    if tensor.ShapeSignatureLength() == len(lengths):  # -1 for an axis that varies
        lengths = [tensor.ShapeSignature(axis) for axis in range(len(lengths))]
    shape = tuple(int(length) if length > 0 else "" for length in lengths)
    return TensorSpec(named.get(index) or tensor.Name().decode(), _dtype(schema, tensor.Type()), shape)


def _dtype(schema: Any, number: int) -> str:
    names = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
    name = names.get(number, "").lower()
    return "bytes" if name == "string" else name


def _ends_in(schema: Any, model: Any, output: int) -> Activation | None:
    kinds, graph = schema.BuiltinOperator, model.Subgraphs(0)
    passing = (kinds.DEQUANTIZE, kinds.QUANTIZE, kinds.CAST, kinds.RESHAPE)
    operators = [graph.Operators(index) for index in range(graph.OperatorsLength())]
    makers = {one.Outputs(index): one for one in operators for index in range(one.OutputsLength())}
    operator = makers.get(graph.Outputs(output))
    while operator is not None and _kind(model, operator) in passing:
        operator = makers.get(operator.Inputs(0))
    activations: dict[int, Activation] = {kinds.SOFTMAX: "softmax", kinds.LOGISTIC: "sigmoid"}
    return None if operator is None else activations.get(_kind(model, operator))


def _kind(model: Any, operator: Any) -> int:
    """Return the number of an operator's kind; up to 127 it may stand in the older field alone."""
    code = model.OperatorCodes(operator.OpcodeIndex())
    return int(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()))
