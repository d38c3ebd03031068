"""Write what tf2onnx makes as ONNX: checked, with names that stay, the same model always as the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import StageFailed
from modelyard_plugins.support.onnx.canonical import canonicalize
from modelyard_plugins.support.onnx.node_order import steady_order

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
        canonicalize(exported, input_names=_input_names(exported.graph), output_names=outputs, batch=BATCH)
        onnx.checker.check_model(
            exported
        )  # tf2onnx keeps operations that it does not know, and says so in the log only
    except (onnx.checker.ValidationError, LookupError, ValueError, TypeError, NotImplementedError) as exc:
        reason = str(exc).strip().partition("\n")[0]
        msg = (
            f"the model {model!r} cannot be converted to ONNX: {reason}\n"
            "  replace the layer that the log names, or leave this model optimizer out"
        )
        raise StageFailed(msg) from exc
    onnx.save(exported, path)


def _input_names(graph: Any) -> list[str]:
    """Return what the inputs are called in the end: several as the model calls them, without the number of an output."""
    return [INPUT] if len(graph.input) == 1 else [value.name.partition(":")[0] for value in graph.input]
