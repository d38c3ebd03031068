"""The trainer `keras`: Keras 3 on TensorFlow, on any memory-mapped data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard_plugins.support.keras.keras3 import KERAS, start
from modelyard_plugins.support.losses import ANY
from modelyard_plugins.support.training import problems
from modelyard_plugins.support.training_params import TrainingParams

if TYPE_CHECKING:
    from modelyard.artifacts import ModelFacts
    from modelyard.contexts import TrainContext
    from modelyard.hookspecs import RegisterTrainer


def train(context: TrainContext, *, params: TrainingParams) -> ModelFacts | None:
    """Train with Keras 3 on TensorFlow.

    Args:
        context: the data set and the untrained model.
        params: the configuration.
    """
    import keras

    from modelyard.artifacts import format_file
    from modelyard_plugins.support.keras.keras3_files import check_model, check_savable, save_keras3
    from modelyard_plugins.support.keras.training import build_model, train_model

    start(context.seed)
    model = build_model(keras, context, check_model)
    check_savable(model, "[tool.modelyard.model]")
    facts = train_model(keras, model, context, params)
    save_keras3(model, context.out / format_file("keras"))
    return facts


@hookimpl
def modelyard_register_trainers(register: RegisterTrainer) -> None:
    """Register the trainer."""
    register("keras", train, produces="keras", losses=ANY, trains_several=True, check=problems, **KERAS)
