"""What the model optimizers of ONNX models have in common: a float model made ready, and what became of its operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError, StageFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import Traits


ONNX: Traits = {
    "tools": ("onnx", "onnxruntime", "numpy"),
    "environment": {"ORT_DISABLE_TELEMETRY": "1"},  # else it sends names and hashes of models to its maker
    "preload": ("onnx", "onnxruntime.quantization"),
    "deterministic": True,  # it computes on the CPU
}

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators that hold nearly all of a network's weights and work."""

_INTEGER = ("ConvInteger", "MatMulInteger")
_LOWEST_OPSET = 13
"""The first opset whose QuantizeLinear has a scale for each channel."""


def prepare(context: OptimizeContext, scratch: Path) -> Path:
    """Write the parent, with shapes inferred and batch normalizations folded, below `scratch` and return its path.

    Raises:
        DataError: the parent cannot be read, or keeps its weights in other files.
        StageFailed: it is quantized already.
    """
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    path, prepared = scratch / "parent.onnx", scratch / "prepared.onnx"
    model = load_onnx(context.model.path)
    check_float(model, context.model.path)
    if opset(model) < _LOWEST_OPSET:
        model = onnx.version_converter.convert_version(model, _LOWEST_OPSET)
    onnx.save(model, path)
    # shapes of transformers are found by symbolic inference only, which needs sympy and pays for nothing else
    quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
    return prepared


def load_onnx(path: Path) -> Any:
    """Return the model in `path`, an `onnx.ModelProto`.

    Raises:
        DataError: it is damaged, or keeps weights in files beside it, which no artifact holds.
    """
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
        outside = [tensor.name for tensor in _tensors(model) if onnx.external_data_helper.uses_external_data(tensor)]
    except Exception as exc:  # protobuf has errors of its own, and onnx parses texts beside
        msg = f"{path}: cannot be read as an ONNX model: {exc}\n  build the stage that made it again"
        raise DataError(msg) from exc
    if outside:
        msg = (
            f"{path}: the weight {outside[0]!r} is in another file\n  save the model as one file, without external data"
        )
        raise DataError(msg)
    return model


def _tensors(message: Any) -> Iterator[Any]:
    """Yield each tensor in `message`, wherever: a weight, a constant, in the body of an If, in a function."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if field.is_repeated else (value,):
                yield from _tensors(inner)


def opset(model: Any) -> int:
    """Return the version of ONNX's own operators that `model` uses."""
    return next((int(one.version) for one in model.opset_import if one.domain in ("", "ai.onnx")), 0)


def check_float(model: Any, path: Path) -> None:
    """Refuse a model that is quantized: quantizing twice loses accuracy for nothing.

    Raises:
        StageFailed: it holds operators of quantized models.
    """
    found = sorted({node.op_type for node in model.graph.node if _is_quantized(node.op_type)})
    if found:
        msg = (
            f"{path}: the model is quantized already: it holds {', '.join(found)}\n"
            "  quantize once in a chain: leave out one of its model optimizers"
        )
        raise StageFailed(msg)


def _is_quantized(operator: str) -> bool:
    return operator in _INTEGER or operator.startswith(("QLinear", "QuantizeLinear", "DynamicQuantize", "MatMulNBits"))


def weighted_operators(model: Any) -> dict[str, list[str]]:
    """Return the names of the operators with weights, by `int8` and `float32`: what they compute with."""
    dequantized = {name for node in model.graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    found: dict[str, list[str]] = {"int8": [], "float32": []}
    for node in model.graph.node:
        if node.op_type in _INTEGER or (node.op_type in WEIGHTED and node.input[1] in dequantized):
            found["int8"].append(node.name)
        elif node.op_type in WEIGHTED:
            found["float32"].append(node.name)
    return found


def report(context: OptimizeContext, path: Path) -> None:
    """Put sizes and counts of the quantized model in `path` into the metrics, and what was left into the log.

    Raises:
        StageFailed: nothing was quantized.
    """
    operators = weighted_operators(load_onnx(path))
    if not operators["int8"]:
        left = ", ".join(operators["float32"]) or "none"
        msg = (
            f"{context.model.path}: no operator was quantized\n"
            f"  operators with weights: {left}; leave this model optimizer out, or change what it skips"
        )
        raise StageFailed(msg)
    if operators["float32"]:
        context.log(f"left in float32: {', '.join(operators['float32'])}")
    counts = {f"operators_{kind}": len(names) for kind, names in operators.items()}
    context.metrics.update(counts, size_bytes=path.stat().st_size)
