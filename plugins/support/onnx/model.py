"""What the model optimizers of ONNX models have in common: a float model made ready, and what became of its operators."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError, StageFailed
from modelyard.files.sizes import total_size
from modelyard_plugins.support.onnx.files import check_external, copy_external, graph_file, graph_to_write
from modelyard_plugins.support.onnx.skeleton import read_skeleton

if TYPE_CHECKING:
    from collections.abc import Callable

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


def prepare(context: OptimizeContext, scratch: Path, change: Callable[[Any], object] = lambda _model: None) -> Path:
    """Write the parent, with shapes inferred and batch normalizations folded, into a folder below `scratch`, which is returned.

    Args:
        context: the parent model.
        scratch: an empty folder.
        change: changes the graph of a model whose weights are in other files.

    Raises:
        DataError: the parent cannot be read.
        StageFailed: it is quantized already.
    """
    from onnxruntime.quantization.shape_inference import quant_pre_process

    given, prepared = context.model.path, scratch / "prepared"
    graph = graph_to_write(prepared, external=True)
    check_float(load_graph(given), given)
    # shapes of transformers are found by symbolic inference only, which needs sympy and pays for nothing else
    quant_pre_process(
        str(_parent(given, scratch, change)),
        str(graph),
        skip_symbolic_shape=True,
        save_as_external_data=given.is_dir(),
        all_tensors_to_one_file=True,
        external_data_location=f"{graph.name}.data",
    )
    return prepared


def _parent(given: Path, scratch: Path, change: Callable[[Any], object]) -> Path:
    """Write the model in `given` below `scratch`, in an opset that can be quantized, and return its graph's file.

    Raises:
        StageFailed: it is of an older opset, and its weights are in other files.
    """
    import onnx

    if given.is_dir() and (version := opset(load_graph(given))) < _LOWEST_OPSET:
        msg = f"{given}: the model is of opset {version}\n  export it with opset {_LOWEST_OPSET} or later"
        raise StageFailed(msg)
    model = load_onnx(given)
    _name_operators(model)
    if given.is_dir():
        _keep_defaults(model)
        change(model)
        graph = graph_to_write(scratch / "parent", external=True)
        # copies: onnx reads no weights from a file that has a second name, as one in the store has
        copy_external(model, given, graph.parent)
        graph.write_bytes(model.SerializeToString())
        return graph
    if opset(model) < _LOWEST_OPSET:
        model = onnx.version_converter.convert_version(model, _LOWEST_OPSET)
    _keep_defaults(model)  # the converter of versions looks for them
    onnx.save(model, scratch / "parent.onnx")
    return scratch / "parent.onnx"


def _keep_defaults(model: Any) -> None:
    """Let what the model brings be no input, too, as old files list it: where it is folded away, an input would be left.

    Source: ONNX, IR.md: before version 4 each initializer is an input.
    """
    brought = {tensor.name for tensor in model.graph.initializer}
    taken = [one for one in model.graph.input if one.name not in brought]
    if len(taken) < len(model.graph.input):
        del model.graph.input[:]
        model.graph.input.extend(taken)
        model.ir_version = max(model.ir_version, 4)


def _name_operators(model: Any) -> None:
    """Give each operator without a name one: operators are left out of quantization by their names, and told by them."""
    taken = {node.name for node in model.graph.node}
    for number, node in enumerate(model.graph.node):
        if not node.name:
            name = f"{node.op_type}_{number}"
            node.name = name if name not in taken else f"{name}_unnamed"


def load_onnx(path: Path) -> Any:
    """Return the model in `path`, a file or folder, as an `onnx.ModelProto`; weights in other files stay there.

    Raises:
        DataError: it is damaged, or a weight is in a file that is not there, or outside of the folder.
    """
    return _loaded(path, lambda file: file.read_bytes())


def load_graph(path: Path) -> Any:
    """Return the model in `path` like `load_onnx`, but its graph's weights without what is in them: little, however large it is.

    Raises:
        DataError: as `load_onnx`.
    """
    return _loaded(path, read_skeleton)


def _loaded(path: Path, read: Callable[[Path], bytes]) -> Any:
    import onnx

    file = graph_file(path)
    try:
        model = onnx.ModelProto.FromString(read(file))
    except Exception as exc:  # protobuf has errors of its own
        msg = f"{file}: cannot be read as an ONNX model: {exc}\n  build the stage that made it again"
        raise DataError(msg) from exc
    check_external(model, path)
    return model


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


def some(names: list[str], most: int = 6) -> str:
    """Return names for a message, and how many more there are than the few that it shows."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more or "none"


def report(context: OptimizeContext, path: Path, advice: str = "change what it skips") -> None:
    """Put sizes and counts of the quantized model in `path` into the metrics, and what was left into the log.

    Args:
        context: the parent model.
        path: the quantized model.
        advice: what to do if nothing was quantized, beside leaving it at that.

    Raises:
        StageFailed: nothing was quantized.
    """
    operators = weighted_operators(load_graph(path))
    if not operators["int8"]:
        msg = (
            f"{context.model.path}: no operator was quantized\n"
            f"  operators with weights: {some(operators['float32'])}; leave this model optimizer out, or {advice}"
        )
        raise StageFailed(msg)
    if operators["float32"]:
        context.log(f"left in float32: {', '.join(operators['float32'])}")
    counts = {f"operators_{kind}": len(names) for kind, names in operators.items()}
    context.metrics.update(counts, size_bytes=total_size(path))
