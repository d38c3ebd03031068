"""The model optimizer `float16`: weights of half the size, computed in float32 on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard_plugins.support.tensorflow import TENSORFLOW

if TYPE_CHECKING:
    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer


def float16(context: OptimizeContext) -> None:
    """Convert to LiteRT with weights in float16: half the size."""
    from modelyard_plugins.support.litert.convert import convert

    convert(context, _configure, weights="float16")


def _configure(tf: Any, converter: Any) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    register("float16", float16, accepts=("tf_keras", "tf_saved_model"), produces="tflite", **TENSORFLOW)
