"""The model optimizer `dynamic-range`: weights in int8, activations quantized while the model runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard_plugins.support.tensorflow import TENSORFLOW

if TYPE_CHECKING:
    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer


def dynamic_range(context: OptimizeContext) -> None:
    """Convert to LiteRT with weights in int8 and no calibration: about a quarter of the size."""
    from modelyard_plugins.support.litert.convert import convert

    convert(
        context, _configure, weights="int8", at_least=lambda _: 1
    )  # it leaves kernels of fewer than 1,024 weights in float


def _configure(tf: Any, converter: Any) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    register(
        "dynamic-range",
        dynamic_range,
        accepts=("tf_keras", "tf_saved_model"),
        produces="tflite",
        **TENSORFLOW,
    )
