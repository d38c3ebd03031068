"""The model optimizer `tf-keras-onnx`: a model of the Keras 2 API as ONNX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.artifacts import format_file
from modelyard_plugins.support.keras.inputs import named_inputs, output_names
from modelyard_plugins.support.keras_files import load_keras
from modelyard_plugins.support.onnx.export import INPUT, write_export
from modelyard_plugins.support.tensorflow import TENSORFLOW_ONNX, start

if TYPE_CHECKING:
    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer


def tf_keras_onnx(context: OptimizeContext) -> None:
    """Export a Keras 2 model as ONNX: weights stay as they are."""
    import tensorflow as tf
    import tf2onnx

    start(context.seed)
    model = load_keras(context.model.path)
    taken = named_inputs(model)
    names = list(taken) if len(taken) > 1 else [INPUT]
    signature = [
        tf.TensorSpec(one.shape, one.dtype, name=name) for name, one in zip(names, taken.values(), strict=True)
    ]

    def answers(*tensors: Any) -> Any:
        return model(dict(zip(taken, tensors, strict=True)) if len(taken) > 1 else tensors[0], training=False)

    answer = tf.function(answers, input_signature=signature)

    def export() -> Any:
        exported, _ = tf2onnx.convert.from_function(answer, input_signature=signature)
        return exported

    target = context.out / format_file("onnx")
    write_export(export, model.name, target, output_names(model))
    context.metrics["size_bytes"] = target.stat().st_size


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    register("tf-keras-onnx", tf_keras_onnx, accepts=("tf_keras",), produces="onnx", **TENSORFLOW_ONNX)
