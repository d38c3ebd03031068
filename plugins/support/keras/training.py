"""Train a classifier of either Keras, from the project's model to its history.

The package, `tf_keras` or `keras`, is passed in: TensorFlow decides which of them a process has. Whoever looks at a project
imports this with the trainers; what training needs, it imports when it trains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard_plugins.support.losses import loss_of
from modelyard_plugins.support.training import (
    OPTIMIZERS,
    record,
    sample_weights,
    training_rows,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelyard.artifacts import Output, SampleShape
    from modelyard.contexts import TrainContext
    from modelyard_plugins.support.training_params import TrainingParams


def build_model(context: TrainContext, check_model: Callable[[Any, str, SampleShape], None]) -> Any:
    """Return the project's model, checked before time is spent on it.

    Args:
        context: the data set and the untrained model.
        check_model: checks that the model, named by its table, is one of the Keras that trains it.

    Raises:
        PluginError: it is not, or does not fit the data set and its task.
    """
    from modelyard_plugins.support.keras.inputs import check_inputs

    facts = context.dataset.facts
    shape = facts.sample_shape
    model = context.build_model(shape, facts.classes)
    check_model(model, "[tool.modelyard.model]", shape)
    check_inputs(model, facts)
    answers(model, context)
    return model


def answers(model: Any, context: TrainContext) -> Output:
    """Return what `model` answers: probabilities where it ends in their activation, or where its component says so.

    Raises:
        PluginError: it ends in another activation.
    """
    from modelyard_plugins.support.keras.facts import ends_in

    activation = ends_in({"config": model.get_config()})
    return (context.facts.ending_in(activation) if activation else context.facts).output


def train_model(keras: Any, model: Any, context: TrainContext, params: TrainingParams) -> None:
    """Train `model` in place, leave it with the weights to ship, and record how it went.

    Args:
        keras: the package that the model is of.
        model: the model, which answers logits or probabilities; it is compiled here.
        context: the data set, and where the history and the figures go.
        params: how it is trained.

    Raises:
        StageFailed: the loss or another figure is no longer a finite number.
    """
    from modelyard_plugins.support.data.augmenting import Augmenting
    from modelyard_plugins.support.data.order import Mixing
    from modelyard_plugins.support.keras.feed import batches
    from modelyard_plugins.support.keras.fitting import compile_model, fit
    from modelyard_plugins.support.keras.own_training import own_callbacks, stepping
    from modelyard_plugins.support.keras.precision import learner, take_weights
    from modelyard_plugins.support.own_function import own_function

    loss = loss_of(context.dataset.facts, params.loss or params.step)
    augmenting = Augmenting(params.flip, params.shift)
    augmenting.check(context.dataset.facts.inputs, context.dataset.facts.answer)
    rows, held_out = training_rows(context.dataset, params.validation_fraction, context.seed, params.folds, params.fold)
    steps = params.epochs * -(-len(rows) // params.batch_size)
    rate = (
        keras.optimizers.schedules.CosineDecay(params.learning_rate, steps)
        if params.schedule == "cosine"
        else params.learning_rate
    )
    moving = getattr(keras.optimizers, OPTIMIZERS[params.optimizer])(learning_rate=rate)
    made_small = own_function(params.loss, "loss")
    trained = learner(keras, model, context, params.precision)
    compile_model(keras, trained, moving, loss, answers(model, context), made_small)
    counts = f"{len(rows):,} samples, {len(held_out):,} set apart for validation"
    context.log(f"{model.name}: {model.count_params():,} parameters, {counts}")
    weights = sample_weights(context.dataset, rows, params.class_weights)
    feed = batches(
        context.dataset,
        rows,
        params.batch_size,
        seed=context.seed,
        augmenting=augmenting,
        class_weights=weights,
        mixing=Mixing(params.shuffle_block, params.buckets),
    )
    sorting = Mixing(buckets=params.buckets)
    validation = (
        batches(context.dataset, held_out, params.batch_size, seed=None, mixing=sorting) if len(held_out) else None
    )
    keeper = keras.callbacks.EarlyStopping(
        monitor="val_loss", patience=params.early_stopping, restore_best_weights=True
    )
    callbacks = [*own_callbacks(keras, params.callbacks, context), *([keeper] if params.early_stopping else [])]
    with stepping(keras, trained, params.step) as more:
        callbacks += more
        history = fit(
            keras, trained, feed, epochs=params.epochs, context=context, validation=validation, callbacks=callbacks
        )
    if params.early_stopping:
        trained.set_weights(keeper.best_weights)  # tf_keras restores them only where it did stop
    take_weights(model, trained)
    record(context, history, model.count_params(), best=int(keeper.best_epoch) if params.early_stopping else None)
