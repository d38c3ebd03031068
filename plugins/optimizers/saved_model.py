"""The model optimizer `saved-model`: a TensorFlow SavedModel, for TensorFlow Serving."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard.artifacts import format_file, self_contained
from modelyard_plugins.support.keras.saved_model import write_saved_model
from modelyard_plugins.support.keras_files import load_keras
from modelyard_plugins.support.tensorflow import TENSORFLOW, start

if TYPE_CHECKING:
    from modelyard.artifacts import ModelFacts
    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer


def saved_model(context: OptimizeContext) -> ModelFacts:
    """Export as a SavedModel that takes raw samples and answers probabilities: preprocessing and softmax are inside."""
    start(context.seed)
    model = load_keras(context.model.path)
    folder = context.out / format_file("saved_model")
    write_saved_model(folder, context.model.facts, lambda inputs: model(inputs, training=False), model.variables)
    context.metrics["size_bytes"] = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return self_contained(context.model.facts)


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    register("saved-model", saved_model, accepts=("tf_keras",), produces="saved_model", **TENSORFLOW)
