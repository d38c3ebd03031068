"""The trainer `tensorflow`: Keras 2 API through tf-keras, on any memory-mapped data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from modelyard import hookimpl
from modelyard.artifacts import format_file
from modelyard.params import (
    BatchSize,
    ClassWeights,
    EarlyStopping,
    Epochs,
    Flip,
    LearningRate,
    OwnLoss,
    Precision,
    Schedule,
    Shift,
    ValidationFraction,
)
from modelyard_plugins.support.keras.training import build_model, train_model
from modelyard_plugins.support.keras_files import check_model, save_keras
from modelyard_plugins.support.losses import LOSSES
from modelyard_plugins.support.own_loss import scripts
from modelyard_plugins.support.tensorflow import TENSORFLOW, start
from modelyard_plugins.support.training import problems

if TYPE_CHECKING:
    from modelyard.contexts import TrainContext
    from modelyard.hookspecs import RegisterTrainer


def train(
    context: TrainContext,
    *,
    epochs: Epochs = 10,
    batch_size: BatchSize = 32,
    learning_rate: LearningRate = 0.001,
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam",
    early_stopping: EarlyStopping = 0,
    validation_fraction: ValidationFraction = 0.0,
    class_weights: ClassWeights = "none",
    schedule: Schedule = "constant",
    flip: Flip = False,
    shift: Shift = 0,
    loss: OwnLoss = "",
    precision: Precision = "float32",
) -> None:
    """Train with TensorFlow (tf-keras, the Keras 2 API).

    Args:
        context: the data set and the untrained model.
        optimizer: what moves the weights.
    """
    import tf_keras

    start(context.seed)
    model = build_model(context, check_model)
    train_model(
        tf_keras,
        model,
        context,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        optimizer=optimizer,
        early_stopping=early_stopping,
        validation_fraction=validation_fraction,
        class_weights=class_weights,
        schedule=schedule,
        flip=flip,
        shift=shift,
        loss=loss,
        precision=precision,
    )
    save_keras(model, context.out / format_file("tf_keras"))


@hookimpl
def modelyard_register_trainers(register: RegisterTrainer) -> None:
    """Register the trainer."""
    register("tensorflow", train, produces="tf_keras", losses=LOSSES, check=problems, scripts=scripts, **TENSORFLOW)
