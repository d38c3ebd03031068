"""The trainer `tensorflow`: Keras 2 API through tf-keras, on any memory-mapped data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from modelyard import hookimpl
from modelyard.artifacts import Dataset, format_file
from modelyard.errors import ConfigError, PluginError
from modelyard.jsonfiles import write_json
from modelyard.params import NonNegativeInt, OpenFraction, PositiveFloat, PositiveInt
from modelyard_plugins.support.feed import batches
from modelyard_plugins.support.fitting import History, compile_classifier, fit, last_figures
from modelyard_plugins.support.keras_files import check_model, save_keras
from modelyard_plugins.support.splitting import stratified_split
from modelyard_plugins.support.tensorflow import TENSORFLOW, start

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import TrainContext
    from modelyard.hookspecs import RegisterProducer

Optimizer = Literal["adam", "adamw", "rmsprop", "sgd"]


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
    """Train with TensorFlow (tf-keras, the Keras 2 API).

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
    if early_stopping and not validation_fraction:
        msg = (
            f"[tool.modelyard.train]: early_stopping = {early_stopping} needs samples to watch\n"
            "  set validation_fraction, for instance to 0.1"
        )
        raise ConfigError(msg)
    start(context.seed)
    model = _build(context)
    compile_classifier(model, _optimizer(optimizer, learning_rate))
    rows, held_out = _rows(context.dataset, validation_fraction, context.seed)
    counts = f"{len(rows):,} samples, {len(held_out):,} set apart for validation"
    context.log(f"{model.name}: {model.count_params():,} parameters, {counts}")
    feed = batches(context.dataset, rows, batch_size, seed=context.seed)
    validation = batches(context.dataset, held_out, batch_size, seed=None) if len(held_out) else None
    keeper = _keep_best(early_stopping) if early_stopping else None
    callbacks = [] if keeper is None else [keeper]
    history = fit(model, feed, epochs=epochs, context=context, validation=validation, callbacks=callbacks)
    best = -1
    if keeper is not None:
        best = keeper.best_epoch
        model.set_weights(keeper.best_weights)
    _finish(context, model, history, best)


def _finish(context: TrainContext, model: Any, history: History, best: int) -> None:
    save_keras(model, context.out / format_file("tf_keras"))
    write_json(context.out / "history.json", history)
    context.metrics.update(last_figures(history, best), epochs=len(history["epoch"]), parameters=model.count_params())
    if best >= 0:
        context.metrics["best_epoch"] = best + 1


def _build(context: TrainContext) -> Any:
    """Return the project's model, checked before time is spent on it."""
    facts = context.dataset.facts
    classes = len(facts.class_names)
    model = context.build_model(facts.input_shape, classes)
    check_model(model, "[tool.modelyard.model]", facts.input_shape)
    for what, found, wanted in (
        ("takes", model.input_shape, (None, *facts.input_shape)),
        ("answers", model.output_shape, (None, classes)),
    ):
        if found != wanted:
            msg = (
                f"the model {model.name!r} {what} the shape {found}, but the data set has {wanted} (None: the batch)\n"
                "  use the function's arguments input_shape and classes"
            )
            raise PluginError(msg)
    last = getattr(model.layers[-1], "activation", None)
    if getattr(last, "__name__", "") == "softmax":
        msg = (
            f"the model {model.name!r} ends in a softmax, but a model answers logits here\n"
            "  leave the softmax out: the server applies it"
        )
        raise PluginError(msg)
    return model


def _optimizer(name: Optimizer, learning_rate: float) -> Any:
    from tf_keras import optimizers

    kinds = {"adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "sgd": "SGD"}
    return getattr(optimizers, kinds[name])(learning_rate=learning_rate)


def _rows(dataset: Dataset, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of the training split to train on, and those to set apart."""
    import numpy as np

    labels = dataset.y("train")
    if fraction:
        return stratified_split(labels, fraction, seed)
    return np.arange(len(labels)), np.arange(0)


def _keep_best(patience: int) -> Any:
    """Return the callback that stops when the validation loss no longer falls, and holds the best weights."""
    from tf_keras.callbacks import EarlyStopping

    return EarlyStopping(monitor="val_loss", patience=patience, restore_best_weights=True)


@hookimpl
def modelyard_register_trainers(register: RegisterProducer) -> None:
    """Register the trainer."""
    register("tensorflow", train, produces="tf_keras", **TENSORFLOW)
