"""The model optimizer `int8`: weights and activations in int8, scales calibrated on training samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from modelyard import hookimpl
from modelyard.errors import ConfigError
from modelyard.params import PositiveInt
from modelyard.tensors import is_whole
from modelyard_plugins.support.tensorflow import QAT, TENSORFLOW

if TYPE_CHECKING:
    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer

Io = Literal["float32", "int8"]


def int8(
    context: OptimizeContext,
    *,
    calibration_samples: PositiveInt = 200,
    io: Io = "float32",
) -> None:
    """Convert to LiteRT with weights and activations in int8, calibrated on the training split.

    A model from `qat` brings the ranges of its activations along, and is not calibrated.

    Args:
        context: the parent model and the data set.
        calibration_samples: training samples that the ranges of the activations are measured on; 100 to 500 are usual.
        io: the type of the model's own input and output.

    Raises:
        ConfigError: `io` is int8, and samples are whole numbers such as token ids.
    """
    from modelyard_plugins.support.data.calibration import rows_to_measure
    from modelyard_plugins.support.litert.convert import convert

    whole = [one.dtype for one in context.model.facts.inputs if is_whole(one.dtype)]
    if io == "int8" and whole:
        msg = (
            f"int8: io = 'int8': the model takes {whole[0]}, whole numbers that int8 cannot hold\n"
            "  leave io out: the model's input stays as it is, its weights and activations become int8"
        )
        raise ConfigError(msg)
    if context.model.facts.format == QAT:
        _convert_trained(context, io)
        return
    rows = rows_to_measure(context, calibration_samples)

    def configure(tf: Any, converter: Any) -> None:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        _configure(tf, converter, io)

    convert(context, configure, weights="int8", calibration=rows)


def _convert_trained(context: OptimizeContext, io: Io) -> None:
    """Convert a model that `qat` trained; what it skipped, and what has such a layer before it, stays in float."""
    from modelyard_plugins.support.keras.quantized import skipped_layers
    from modelyard_plugins.support.litert.convert import convert

    kernels = convert(
        context,
        lambda tf, converter: _configure(tf, converter, io),
        weights="int8",
        at_least=lambda model: 1 if skipped_layers(model) else None,
        advice="a layer behind one that qat skips gets float inputs; leave qat out, and let int8 calibrate",
    )
    floats = [name for name, kernel in kernels.items() if kernel.dtype != "int8"]
    if floats:
        context.warn(f"int8: {', '.join(floats)} stay in float: qat skipped these layers, or the one before")


def _configure(tf: Any, converter: Any, io: Io) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if io == "int8":
        converter.inference_input_type = converter.inference_output_type = tf.int8


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    register("int8", int8, accepts=("tf_keras", QAT, "tf_saved_model"), produces="tflite", **TENSORFLOW)
