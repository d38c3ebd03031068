"""The model optimizer `keras-saved-model`: a model of Keras 3 as a TensorFlow SavedModel, for TensorFlow Serving."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard.artifacts import format_file
from modelyard_plugins.support.keras.heads import answering
from modelyard_plugins.support.keras.keras3 import KERAS, start
from modelyard_plugins.support.keras.keras3_files import load_keras3
from modelyard_plugins.support.keras.saved_model import kept, tables_of, write_saved_model

if TYPE_CHECKING:
    from modelyard.artifacts import ModelFacts
    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer


def keras_saved_model(context: OptimizeContext) -> ModelFacts:
    """Export a Keras 3 model as a SavedModel that takes raw samples and answers probabilities."""
    start(context.seed)
    model = load_keras3(context.model.path)
    folder = context.out / format_file("saved_model")
    variables = [variable.value for variable in model.variables]
    write_saved_model(folder, context.model.facts, answering(model, context.model.facts), variables, tables_of(model))
    context.metrics["size_bytes"] = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return kept(context.model.facts)


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    accepts = ("keras", "keras_quantized")
    register("keras-saved-model", keras_saved_model, accepts=accepts, produces="saved_model", **KERAS)
