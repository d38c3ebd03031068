"""The model optimizer `float32`: plain conversion to LiteRT, the baseline of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard_plugins.support.tensorflow import TENSORFLOW

if TYPE_CHECKING:
    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer


def float32(context: OptimizeContext) -> None:
    """Convert to LiteRT and leave the weights as they are: the baseline."""
    from modelyard_plugins.support.litert.convert import convert

    convert(context, weights="float32")


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    register("float32", float32, accepts=("tf_keras", "tf_saved_model"), produces="tflite", **TENSORFLOW)
