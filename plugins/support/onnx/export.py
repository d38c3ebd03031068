"""Write what tf2onnx makes as ONNX: checked, with names that stay, the same model always as the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import StageFailed, listing
from modelyard_plugins.support.onnx.canonical import canonicalize
from modelyard_plugins.support.onnx.node_order import steady_order
from modelyard_plugins.support.training import NO_TEXTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

INPUT, OUTPUT, BATCH = "image", "logits", "batch"
"""The names in an exported ONNX model: of its only input, its only output, and the axis whose size is free."""


def write_export(export: Callable[[], Any], model: str, path: Path, outputs: Sequence[str] = (OUTPUT,)) -> None:
    """Write to `path` the `onnx.ModelProto` that `export` returns.

    Args:
        export: converts the model with tf2onnx.
        model: the model's name, for messages.
        path: where to.
        outputs: what its outputs are called in the end, in the order of the graph.

    Raises:
        StageFailed: the model cannot be converted.
    """
    import onnx

    try:
        with steady_order():
            exported = export()
        _check_operators(exported.graph, model)
        canonicalize(exported, input_names=_input_names(exported.graph), output_names=outputs, batch=BATCH)
        onnx.checker.check_model(exported)
    except (onnx.checker.ValidationError, LookupError, ValueError, TypeError, NotImplementedError) as exc:
        reason = str(exc).strip().partition("\n")[0]
        msg = (
            f"the model {model!r} cannot be converted to ONNX: {reason}\n"
            "  replace the layer that the log names, or leave this model optimizer out"
        )
        raise StageFailed(msg) from exc
    onnx.save(exported, path)


def _check_operators(graph: Any, model: str) -> None:
    """Check that ONNX has the operators of `graph`: tf2onnx keeps those that it cannot convert, and says so in the log only.

    Raises:
        StageFailed: it lacks some; the message has each kind once, with the name of one, in which that of its layer is.
    """
    import onnx

    lacking = {node.op_type: node.name for node in graph.node if not node.domain and not onnx.defs.has(node.op_type)}
    if lacking:
        named = listing([f"{kind} ({name!r})" for kind, name in lacking.items()])
        msg = f"the model {model!r} cannot be converted to ONNX, which has no operator for {named}\n  {_instead(graph)}"
        raise StageFailed(msg)


def _instead(graph: Any) -> str:
    """Return what to do about operators that ONNX lacks; of texts it has few."""
    import onnx

    if all(value.type.tensor_type.elem_type != onnx.TensorProto.STRING for value in graph.input):
        return "replace the layers that are named, or leave this model optimizer out"
    return f"for a model of texts {NO_TEXTS}; or serve it as LiteRT or a SavedModel, which have operators for them"


def _input_names(graph: Any) -> list[str]:
    """Return what the inputs are called in the end: several as the model calls them, without the number of an output."""
    return [INPUT] if len(graph.input) == 1 else [value.name.partition(":")[0] for value in graph.input]
