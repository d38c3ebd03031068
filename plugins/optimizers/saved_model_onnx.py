"""The model optimizer `saved-model-onnx`: a SavedModel that was brought along, as ONNX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.artifacts import format_file
from modelyard_plugins.support.onnx.export import INPUT, OUTPUT, write_export
from modelyard_plugins.support.tensorflow import TENSORFLOW_ONNX, start

if TYPE_CHECKING:
    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer


def saved_model_onnx(context: OptimizeContext) -> None:
    """Export a SavedModel as ONNX: weights stay as they are, tensors have the names of its signature."""
    import tensorflow as tf
    import tf2onnx

    from modelyard_plugins.support.keras.brought_saved_model import load_function, specs

    start(context.seed)
    path = context.model.path
    function, taken = load_function(path), specs(path)
    outputs = sorted(function.structured_outputs)
    names = list(taken) if len(taken) > 1 else [INPUT]
    signature = [
        tf.TensorSpec(one.shape, one.dtype, name=name) for name, one in zip(names, taken.values(), strict=True)
    ]

    def answers(*tensors: Any) -> list[Any]:
        answered = function(**dict(zip(taken, tensors, strict=True)))
        return [answered[name] for name in outputs]

    answer = tf.function(answers, input_signature=signature)

    def export() -> Any:
        exported, _ = tf2onnx.convert.from_function(answer, input_signature=signature)
        return exported

    target = context.out / format_file("onnx")
    write_export(export, path.name, target, outputs if len(outputs) > 1 else [OUTPUT])
    context.metrics["size_bytes"] = target.stat().st_size


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    register("saved-model-onnx", saved_model_onnx, accepts=("tf_saved_model",), produces="onnx", **TENSORFLOW_ONNX)
