"""Convert a Keras 2 model to LiteRT (`.tflite`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.artifacts import format_file
from modelyard.errors import StageFailed
from modelyard_plugins.support.keras_files import load_keras
from modelyard_plugins.support.tensorflow import start

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelyard.contexts import OptimizeContext


def convert(context: OptimizeContext, configure: Callable[[Any, Any], None] | None = None) -> None:
    """Read the parent from disk, convert it, and write the model's file.

    Args:
        context: the optimizer's context; `size_bytes` is put into its metrics.
        configure: `configure(tf, converter)` sets the converter up.

    Raises:
        StageFailed: the converter cannot take a layer of the model.
    """
    import tensorflow as tf

    start(context.seed)
    converter = tf.lite.TFLiteConverter.from_keras_model(load_keras(context.model.path))
    if configure is not None:
        configure(tf, converter)
    data = _convert(converter, context)
    (context.out / format_file("tflite")).write_bytes(data)
    context.metrics["size_bytes"] = len(data)


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
