"""The model optimizer `int16x8`: weights in int8, activations in int16."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.params import PositiveInt
from modelyard_plugins.support.tensorflow import TENSORFLOW

if TYPE_CHECKING:
    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer

_X86 = ("x86_64", "AMD64", "i686")


def int16x8(context: OptimizeContext, *, calibration_samples: PositiveInt = 200) -> None:
    """Convert to LiteRT with weights in int8 and activations in int16: the size of int8, closer to float32.

    LiteRT has no fast kernels for it on x86: a small CNN took 36 times as long there as in float32.

    Args:
        context: the parent model and the data set.
        calibration_samples: training samples that the ranges of the activations are measured on; 100 to 500 are usual.
    """
    from modelyard_plugins.support.data.calibration import rows_to_measure
    from modelyard_plugins.support.litert.convert import convert

    rows = rows_to_measure(context, calibration_samples)

    def configure(tf: Any, converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        kernels = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [kernels]

    convert(context, configure, weights="int8", calibration=rows)
    if platform.machine() in _X86:
        context.warn("int16x8 has reference kernels only on x86, some tens of times slower than float32; see p50_ms")


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    register("int16x8", int16x8, accepts=("tf_keras", "tf_saved_model"), produces="tflite", **TENSORFLOW)
