"""The trainer `keras`: Keras 3 on TensorFlow, on any memory-mapped data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from modelyard import hookimpl
from modelyard.artifacts import format_file
from modelyard.jsonfiles import write_json
from modelyard.params import NonNegativeInt, OpenFraction, PositiveFloat, PositiveInt
from modelyard_plugins.support.feed import batches
from modelyard_plugins.support.keras3 import KERAS, start
from modelyard_plugins.support.keras3_files import check_model, check_savable, save_keras3
from modelyard_plugins.support.keras3_fitting import compile_classifier, fit
from modelyard_plugins.support.training import (
    check_early_stopping,
    check_shapes,
    last_figures,
    refuse_softmax,
    training_rows,
)

if TYPE_CHECKING:
    from modelyard.contexts import TrainContext
    from modelyard.hookspecs import RegisterProducer
    from modelyard_plugins.support.training import History

Optimizer = Literal["adam", "adamw", "lion", "rmsprop", "sgd"]


def train(
    context: TrainContext,
    *,
    epochs: PositiveInt = 10,
    batch_size: PositiveInt = 32,
    learning_rate: PositiveFloat = 0.001,
    optimizer: Optimizer = "adam",
    early_stopping: NonNegativeInt = 0,
    validation_fraction: OpenFraction = 0.0,
) -> None:
    """Train with Keras 3 on TensorFlow.

    Args:
        context: the data set and the untrained model.
        epochs: how often to go through the training split, at most.
        batch_size: samples a step.
        learning_rate: the optimizer's step size.
        optimizer: what moves the weights.
        early_stopping: stop after this many epochs without a lower validation loss, and keep the best epoch's
            weights; 0 never stops. It needs a validation_fraction above 0.
        validation_fraction: part of the training split that is set apart to measure after each epoch.
    """
    check_early_stopping(early_stopping, validation_fraction)
    start(context.seed)
    model = _build(context)
    compile_classifier(model, _optimizer(optimizer, learning_rate))
    rows, held_out = training_rows(context.dataset, validation_fraction, context.seed)
    counts = f"{len(rows):,} samples, {len(held_out):,} set apart for validation"
    context.log(f"{model.name}: {model.count_params():,} parameters, {counts}")
    feed = batches(context.dataset, rows, batch_size, seed=context.seed)
    validation = batches(context.dataset, held_out, batch_size, seed=None) if len(held_out) else None
    keeper = _keep_best(early_stopping) if early_stopping else None
    callbacks = [] if keeper is None else [keeper]
    history = fit(model, feed, epochs=epochs, context=context, validation=validation, callbacks=callbacks)
    best = -1 if keeper is None else int(keeper.best_epoch)
    if keeper is not None:
        model.set_weights(keeper.best_weights)
    _finish(context, model, history, best)


def _finish(context: TrainContext, model: Any, history: History, best: int) -> None:
    save_keras3(model, context.out / format_file("keras"))
    write_json(context.out / "history.json", history)
    context.metrics.update(last_figures(history, best), epochs=len(history["epoch"]), parameters=model.count_params())
    if best >= 0:
        context.metrics["best_epoch"] = best + 1


def _build(context: TrainContext) -> Any:
    """Return the project's model, checked before time is spent on it."""
    facts = context.dataset.facts
    classes = len(facts.class_names)
    model = context.build_model(facts.input_shape, classes)
    where = "[tool.modelyard.model]"
    check_model(model, where, facts.input_shape)
    wanted = ((None, *facts.input_shape), (None, classes))
    check_shapes(model.name, model.input_shape, model.output_shape, wanted=wanted)
    last = getattr(model.layers[-1], "activation", None)
    if getattr(last, "__name__", "") == "softmax":
        refuse_softmax(model.name)
    check_savable(model, where)
    return model


def _optimizer(name: Optimizer, learning_rate: float) -> Any:
    from keras import optimizers

    kinds = {"adam": "Adam", "adamw": "AdamW", "lion": "Lion", "rmsprop": "RMSprop", "sgd": "SGD"}
    return getattr(optimizers, kinds[name])(learning_rate=learning_rate)


def _keep_best(patience: int) -> Any:
    """Return the callback that stops when the validation loss no longer falls, and holds the best weights."""
    from keras.callbacks import EarlyStopping

    return EarlyStopping(monitor="val_loss", patience=patience, restore_best_weights=True)


@hookimpl
def modelyard_register_trainers(register: RegisterProducer) -> None:
    """Register the trainer."""
    register("keras", train, produces="keras", **KERAS)
