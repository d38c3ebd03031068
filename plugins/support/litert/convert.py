"""Convert a Keras 2 model, or a SavedModel that was brought along, to LiteRT (`.tflite`).

Whoever looks at a project imports this with the plugins that convert; what converting needs, it imports when it converts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from modelyard.artifacts import format_file
from modelyard.errors import StageFailed
from modelyard_plugins.support.tensorflow import QAT, start

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import OptimizeContext
    from modelyard_plugins.support.keras.kernels import Kernels


def convert(
    context: OptimizeContext,
    configure: Callable[[Any, Any], None] | None = None,
    *,
    weights: Literal["float32", "float16", "int8"],
    calibration: NDArray[np.int64] | None = None,
    at_least: Callable[[Any], int | None] = lambda _: None,
    advice: str = "take another conversion, for instance float16",
) -> Kernels:
    """Read the parent from disk, convert it, and write the model's file.

    Args:
        context: the optimizer's context; sizes and what became of the weights are put into its metrics.
        configure: `configure(tf, converter)` sets the converter up.
        calibration: rows of the training split that the ranges of activations are measured on, int64, shape `(n,)`.
        weights: the type that the weights of two axes or more must have in the end.
        at_least: says of the parent model how many of them; None for all.
        advice: what to do if they have not.

    Returns:
        The weights of two axes or more that the file holds.

    Raises:
        StageFailed: the converter cannot take a layer of the model, or leaves the weights in another type.
    """
    import tensorflow as tf

    from modelyard_plugins.support.data.calibration import samples
    from modelyard_plugins.support.keras import brought_saved_model as brought
    from modelyard_plugins.support.keras.inputs import named_inputs, type_of
    from modelyard_plugins.support.litert.weights import check_types, litert_kernels, weight_figures

    start(context.seed)
    if context.model.facts.format == "tf_saved_model":
        path, model = context.model.path, None
        converter = tf.lite.TFLiteConverter.from_saved_model(str(path), signature_keys=[brought.signature_key(path)])
        types = brought.input_types(path)
    else:
        model = _keras_model(context)
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        types = {name: type_of(tensor) for name, tensor in named_inputs(model).items()}
    if calibration is not None:
        converter.representative_dataset = samples(context, calibration, types)
        context.metrics["calibration_samples"] = len(calibration)
    if configure is not None:
        configure(tf, converter)
    data = _convert(converter, context)
    kernels = litert_kernels(data)
    check_types(kernels, weights, at_least=at_least(model), advice=advice)
    (context.out / format_file("tflite")).write_bytes(data)
    context.metrics.update(size_bytes=len(data), **weight_figures(kernels))
    return kernels


def _keras_model(context: OptimizeContext) -> Any:
    from modelyard_plugins.support.keras.quantized import load_quantized
    from modelyard_plugins.support.keras_files import load_keras

    load = load_quantized if context.model.facts.format == QAT else load_keras
    return load(context.model.path)


def _convert(converter: Any, context: OptimizeContext) -> bytes:
    import warnings

    from tensorflow.lite.python.convert import ConverterError

    context.progress(0, 1, unit="models", note="converting to LiteRT")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of missing statistics while it calibrates
            data = bytes(converter.convert())
    except ConverterError as exc:
        msg = (
            f"{context.model.path}: the LiteRT converter refuses it: {str(exc).strip().splitlines()[0]}\n"
            "  replace the layer that the log names, or leave this model optimizer out"
        )
        context.log(str(exc))
        raise StageFailed(msg) from exc
    context.progress(1, 1, unit="models")
    return data
