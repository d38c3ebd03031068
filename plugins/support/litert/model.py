"""Look into LiteRT models (`.tflite`) with the interpreter alone: no TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError, StageFailed

if TYPE_CHECKING:
    from pathlib import Path


def open_interpreter(path: Path) -> Any:
    """Return an interpreter of the model in `path`, ready to run; one whose samples vary in length is told theirs first.

    Raises:
        DataError: it is no LiteRT model.
    """
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_path=str(path))
        if not any(-1 in one["shape_signature"][1:] for one in interpreter.get_input_details()):
            interpreter.allocate_tensors()  # what varies is 1 long in the file, which may be less than the model can take
    except (ValueError, RuntimeError) as exc:
        msg = f"{path}: cannot be read as a LiteRT model: {' '.join(str(exc).split())}\n  build the stage that made it again"
        raise DataError(msg) from exc
    return interpreter


def open_float(path: Path) -> Any:
    """Return an interpreter of the model in `path`, whose tensors are float32.

    Raises:
        DataError: it is no LiteRT model.
        StageFailed: it is quantized already, or holds weights in float16.
    """
    interpreter = open_interpreter(path)
    kinds = {kind for tensor in interpreter.get_tensor_details() if (kind := _reduced(tensor))}
    if kinds:
        msg = (
            f"{path}: the model is quantized already: it holds {', '.join(sorted(kinds))}\n"
            "  begin with a float32 model, from float32 or keras-litert; quantize once in a chain"
        )
        raise StageFailed(msg)
    return interpreter


def _reduced(tensor: Any) -> str:
    """Return the type of a tensor that holds fewer bits than float32 for a real number, or nothing."""
    import numpy as np

    dtype = np.dtype(tensor["dtype"])
    is_reduced = dtype == np.float16 or len(tensor["quantization_parameters"]["scales"])
    return dtype.name if is_reduced else ""


def operator_names(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the names that a person knows each operator by, those of its outputs and weights, by its scope.

    The scope is what ai-edge-quantizer calls an operator; the last one's holds nothing of the layer's name.
    """
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils as flatbuffer

    model = flatbuffer.read_model(str(path))
    found = {}
    for subgraph in model.subgraphs:
        for operator in subgraph.operators:
            inputs = [subgraph.tensors[index] for index in operator.inputs if index >= 0]
            weights = [tensor for tensor in inputs if model.buffers[tensor.buffer].data is not None]
            outputs = [subgraph.tensors[index] for index in operator.outputs]
            scope = flatbuffer.get_op_scope(operator, subgraph.tensors)
            found[str(scope)] = tuple(flatbuffer.get_tensor_name(tensor) for tensor in (*outputs, *weights))
    return found
