"""The model optimizer `int8`: weights and activations in int8, scales calibrated on training samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from modelyard import hookimpl
from modelyard.params import PositiveInt
from modelyard_plugins.support.calibration import calibration_rows
from modelyard_plugins.support.litert_convert import convert
from modelyard_plugins.support.tensorflow import TENSORFLOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer


def int8(
    context: OptimizeContext,
    *,
    calibration_samples: PositiveInt = 200,
    io: Literal["float32", "int8"] = "float32",
) -> None:
    """Convert to LiteRT with weights and activations in int8, calibrated on the training split.

    Args:
        context: the parent model and the data set.
        calibration_samples: training samples that the ranges of the activations are measured on; 100 to 500 are usual.
        io: the type of the model's own input and output.
    """
    rows = calibration_rows(context.dataset, calibration_samples, context.seed)

    def samples() -> Iterator[list[NDArray[np.float32]]]:
        for row in rows:
            yield [context.dataset.inputs("train", slice(row, row + 1))]

    def configure(tf: Any, converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = samples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        if io == "int8":
            converter.inference_input_type = converter.inference_output_type = tf.int8

    convert(context, configure)
    context.metrics["calibration_samples"] = len(rows)


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    register("int8", int8, accepts=("tf_keras",), produces="tflite", **TENSORFLOW)
