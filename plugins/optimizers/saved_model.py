"""The model optimizer `saved-model`: a TensorFlow SavedModel, for TensorFlow Serving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.artifacts import format_file
from modelyard_plugins.support.keras.heads import answering
from modelyard_plugins.support.keras.saved_model import kept, tables_of, write_saved_model
from modelyard_plugins.support.keras_files import load_keras
from modelyard_plugins.support.tensorflow import TENSORFLOW, start

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from modelyard.artifacts import ModelFacts
    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer

    _Taken = tuple[Callable[[Any], Any], Sequence[Any], Sequence[Any]]


def saved_model(context: OptimizeContext) -> ModelFacts:
    """Export as a SavedModel that takes raw samples and answers probabilities: preprocessing and softmax are inside."""
    start(context.seed)
    taken = _brought(context) if context.model.facts.format == "tf_saved_model" else _keras(context)
    folder = context.out / format_file("saved_model")
    write_saved_model(folder, context.model.facts, *taken)
    context.metrics["size_bytes"] = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return kept(context.model.facts)


def _keras(context: OptimizeContext) -> _Taken:
    model = load_keras(context.model.path)
    return answering(model, context.model.facts), model.variables, tables_of(model)


def _brought(context: OptimizeContext) -> _Taken:
    from modelyard_plugins.support.keras.brought_saved_model import answer_names, input_types, load_function

    facts = context.model.facts
    function, names = load_function(context.model.path), list(input_types(context.model.path))
    outputs = answer_names(facts, function.structured_outputs)

    def call(inputs: Any) -> Any:
        answer = function(**(inputs if isinstance(inputs, dict) else {names[0]: inputs}))
        return {name: answer[tensor] for name, tensor in outputs.items()}

    variables = function.owner.variables if hasattr(function.owner, "variables") else function.variables
    return call, variables, tables_of(function.owner)


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    register(
        "saved-model",
        saved_model,
        accepts=("tf_keras", "tf_saved_model"),
        produces="saved_model",
        **TENSORFLOW,
    )
