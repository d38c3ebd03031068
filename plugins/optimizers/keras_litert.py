"""The model optimizer `keras-litert`: a model of Keras 3 as LiteRT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard.artifacts import format_file
from modelyard_plugins.support.keras.keras3 import KERAS, start
from modelyard_plugins.support.keras.keras3_export import write_litert
from modelyard_plugins.support.keras.keras3_files import load_keras3

if TYPE_CHECKING:
    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer


def keras_litert(context: OptimizeContext) -> None:
    """Export a Keras 3 model as LiteRT: weights stay as they are."""
    start(context.seed)
    target = context.out / format_file("tflite")
    write_litert(load_keras3(context.model.path), target)
    context.metrics["size_bytes"] = target.stat().st_size


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer; a model that Keras quantized is not accepted: LiteRT's converter has no kernel for it."""
    register("keras-litert", keras_litert, accepts=("keras",), produces="tflite", **KERAS)
