"""The trainer `tensorflow`: Keras 2 API through tf-keras, on any memory-mapped data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard_plugins.support.losses import ANY
from modelyard_plugins.support.tensorflow import TENSORFLOW, start
from modelyard_plugins.support.training import problems
from modelyard_plugins.support.training_params import WithoutLion

if TYPE_CHECKING:
    from modelyard.artifacts import ModelFacts
    from modelyard.contexts import TrainContext
    from modelyard.hookspecs import RegisterTrainer


def train(context: TrainContext, *, params: WithoutLion) -> ModelFacts | None:
    """Train with TensorFlow (tf-keras, the Keras 2 API).

    Args:
        context: the data set and the untrained model.
        params: the configuration.
    """
    import tf_keras

    from modelyard.artifacts import format_file
    from modelyard_plugins.support.keras.training import build_model, train_model
    from modelyard_plugins.support.keras_files import check_model, save_keras

    start(context.seed)
    model = build_model(tf_keras, context, check_model)
    facts = train_model(tf_keras, model, context, params)
    save_keras(model, context.out / format_file("tf_keras"))
    return facts


@hookimpl
def modelyard_register_trainers(register: RegisterTrainer) -> None:
    """Register the trainer."""
    register("tensorflow", train, produces="tf_keras", losses=ANY, trains_several=True, check=problems, **TENSORFLOW)
