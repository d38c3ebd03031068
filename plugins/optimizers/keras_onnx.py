"""The model optimizer `keras-onnx`: a model of Keras 3 as ONNX."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard.artifacts import format_file
from modelyard.errors import StageFailed
from modelyard_plugins.support.keras.keras3 import KERAS_ONNX, start
from modelyard_plugins.support.keras.keras3_export import modes, write_onnx
from modelyard_plugins.support.keras.keras3_files import load_keras3

if TYPE_CHECKING:
    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer


def keras_onnx(context: OptimizeContext) -> None:
    """Export a Keras 3 model as ONNX: weights stay as they are."""
    start(context.seed)
    model = load_keras3(context.model.path)
    quantized = modes(model)
    if "float8" in quantized:
        msg = (
            f"{context.model.path}: tf2onnx cannot convert the float8 layers of a Keras model\n"
            "  quantize with mode = 'int8', or export with keras-saved-model"
        )
        raise StageFailed(msg)
    if quantized - {"int8"}:
        context.warn("ONNX has no kernel for Keras's int4 weights: they are stored as float32, use mode = 'int8'")
    target = context.out / format_file("onnx")
    write_onnx(model, target)
    context.metrics["size_bytes"] = target.stat().st_size


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    accepts = ("keras", "keras_quantized")
    register("keras-onnx", keras_onnx, accepts=accepts, produces="onnx", **KERAS_ONNX)
