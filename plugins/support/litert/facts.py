"""What a LiteRT file (`.tflite`) shows of itself, by the schema of its flatbuffer alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.artifacts import FileFacts

if TYPE_CHECKING:
    from pathlib import Path


def litert_facts(path: Path) -> FileFacts:
    """Return what the model in `path` shows of itself; nothing if it cannot be read here."""
    import struct

    try:
        schema = _schema()
        model = schema.Model.GetRootAs(path.read_bytes(), 0)
        is_softmax = _ends_in_softmax(schema, model)
    except (ImportError, OSError, IndexError, TypeError, AttributeError, struct.error):  # of what is no such file
        return FileFacts()
    return FileFacts(output="probabilities" if is_softmax else None)


def _schema() -> Any:
    """Return the flatbuffer's schema: LiteRT brings it, and so does TensorFlow."""
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError:
        from tensorflow.lite.python import schema_py_generated
    return schema_py_generated


def _ends_in_softmax(schema: Any, model: Any) -> bool:
    kinds, graph = schema.BuiltinOperator, model.Subgraphs(0)
    passing = (kinds.DEQUANTIZE, kinds.QUANTIZE, kinds.CAST, kinds.RESHAPE)
    operators = [graph.Operators(index) for index in range(graph.OperatorsLength())]
    makers = {one.Outputs(index): one for one in operators for index in range(one.OutputsLength())}
    operator = makers.get(graph.Outputs(0))
    while operator is not None and _kind(model, operator) in passing:
        operator = makers.get(operator.Inputs(0))
    return operator is not None and _kind(model, operator) == kinds.SOFTMAX


def _kind(model: Any, operator: Any) -> int:
    """Return the number of an operator's kind; up to 127 it may stand in the older field alone."""
    code = model.OperatorCodes(operator.OpcodeIndex())
    return int(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()))
