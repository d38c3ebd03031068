"""Train a network of either Keras, from the project's model to its history.

The package, `tf_keras` or `keras`, is passed in: TensorFlow decides which of them a process has. Whoever looks at a project
imports this with the trainers; what training needs, it imports when it trains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard_plugins.support.heads import check_single, heads_of, widths
from modelyard_plugins.support.losses import loss_of
from modelyard_plugins.support.training import (
    OPTIMIZERS,
    record,
    sample_weights,
    training_rows,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import ModelFacts, SampleShape
    from modelyard.contexts import TrainContext
    from modelyard_plugins.support.heads import Head
    from modelyard_plugins.support.keras.own_training import Steps
    from modelyard_plugins.support.training_params import TrainingParams


def build_model(keras: Any, context: TrainContext, check_model: Callable[[Any, str, SampleShape], None]) -> Any:
    """Return the project's model, checked before time is spent on it; one of several outputs answers a list of them.

    Args:
        keras: the package that the model is of.
        context: the data set and the untrained model.
        check_model: checks that the model, named by its table, is one of the Keras that trains it.

    Raises:
        PluginError: it is not, or does not fit the data set and its task.
    """
    from modelyard_plugins.support.keras.inputs import check_inputs

    facts = context.dataset.facts
    shape = facts.sample_shape
    model = _built(context)
    check_model(model, "[tool.modelyard.model]", shape)
    model = _with_heads(keras, model, context)
    check_inputs(model, facts)
    answers(model, context)
    return model


def _with_heads(keras: Any, model: Any, context: TrainContext) -> Any:
    """Return a model that answers the project's outputs in their order, where there are several.

    Raises:
        PluginError: it answers others, or several where one is learnt.
    """
    from modelyard_plugins.support.keras.heads import with_heads

    facts = context.dataset.facts
    if facts.losses:
        return with_heads(keras, model, [one.name for one in facts.outputs])
    if len(model.outputs) > 1:
        check_single(model.output, f"the model {model.name!r}")
    return model


def answers(model: Any, context: TrainContext) -> ModelFacts:
    """Return what `model` answers: probabilities where it ends in their activation, or where its component says so.

    Raises:
        PluginError: it ends in another activation.
    """
    from modelyard_plugins.support.keras.facts import each_ends_in, ends_in
    from modelyard_plugins.support.keras.heads import named_after

    config = {"config": model.get_config()}
    if len(context.facts.outputs) > 1:
        return named_after(context.facts, model).each_ending_in(each_ends_in(config))
    activation = ends_in(config)
    return context.facts.ending_in(activation) if activation else context.facts


def train_model(keras: Any, model: Any, context: TrainContext, params: TrainingParams) -> ModelFacts | None:
    """Train `model` in place, leave it with the weights to ship, and record how it went.

    Args:
        keras: the package that the model is of.
        model: the model, which answers logits or probabilities; it is compiled here.
        context: the data set, and where the history and the figures go.
        params: how it is trained.

    Returns:
        What the trainer returns: of several outputs, what the file calls them.

    Raises:
        StageFailed: the loss or another figure is no longer a finite number.
    """
    from modelyard_plugins.support.data.augmenting import Augmenting
    from modelyard_plugins.support.data.order import Mixing
    from modelyard_plugins.support.keras.feed import batches
    from modelyard_plugins.support.keras.fitting import fit
    from modelyard_plugins.support.keras.own_training import own_callbacks, stepping
    from modelyard_plugins.support.keras.precision import learner, take_weights

    data, said = context.dataset, params.loss or params.step
    heads = heads_of(context, answers(model, context), said)
    if not data.facts.losses:
        loss_of(data.facts, said)
    augmenting = Augmenting(params.flip, params.shift)
    augmenting.check(data.facts.inputs, data.facts.outputs)
    rows, held_out = training_rows(context, params.validation_fraction)
    weights = sample_weights(context, rows, params.class_weights)
    trained = learner(keras, model, lambda: _with_heads(keras, _built(context), context), params.precision)
    facts = answers(model, context)
    steps = _compiled(keras, trained, context, facts, heads, params, -(-len(rows) // params.batch_size), weights)
    counts = f"{len(rows):,} samples, {len(held_out):,} set apart for validation"
    context.log(f"{model.name}: {model.count_params():,} parameters, {counts}")
    only = None if data.facts.losses else next(iter(weights.values()), None)
    feed = batches(
        data,
        rows,
        params.batch_size,
        seed=context.seed,
        augmenting=augmenting,
        class_weights=only,
        mixing=Mixing(params.shuffle_block, params.buckets),
    )
    sorting = Mixing(buckets=params.buckets)
    validation = batches(data, held_out, params.batch_size, seed=None, mixing=sorting) if len(held_out) else None
    keeper = keras.callbacks.EarlyStopping(
        monitor="val_loss", patience=params.early_stopping, restore_best_weights=True
    )
    callbacks = [*own_callbacks(keras, params.callbacks, context), *([keeper] if params.early_stopping else [])]
    with stepping(keras, trained, steps) as more:
        callbacks += more
        history = fit(
            keras, trained, feed, epochs=params.epochs, context=context, validation=validation, callbacks=callbacks
        )
    if params.early_stopping:
        trained.set_weights(keeper.best_weights)  # tf_keras restores them only where it did stop
    take_weights(model, trained)
    record(context, history, model.count_params(), best=int(keeper.best_epoch) if params.early_stopping else None)
    return facts if len(facts.outputs) > 1 else None


def _built(context: TrainContext) -> Any:
    facts = context.dataset.facts
    return context.build_model(facts.sample_shape, widths(facts))


def _compiled(
    keras: Any,
    model: Any,
    context: TrainContext,
    facts: ModelFacts,
    heads: Mapping[str, Head],
    params: TrainingParams,
    steps: int,
    class_weights: Mapping[str, NDArray[np.float32]],
) -> Steps:
    """Compile `model`, for `steps` steps an epoch, and return the steps that are not Keras's own."""
    from modelyard_plugins.support.keras.fitting import compile_model
    from modelyard_plugins.support.keras.heads import steps_of
    from modelyard_plugins.support.keras.own_training import train_step_of
    from modelyard_plugins.support.own_function import own_function

    rate = (
        keras.optimizers.schedules.CosineDecay(params.learning_rate, params.epochs * steps)
        if params.schedule == "cosine"
        else params.learning_rate
    )
    moving = getattr(keras.optimizers, OPTIMIZERS[params.optimizer])(learning_rate=rate)
    own = own_function(params.loss, "loss")
    if not context.dataset.facts.losses:
        loss = loss_of(context.dataset.facts, params.loss or params.step)
        compile_model(keras, model, moving, loss, facts.output, own)
        return train_step_of(model, params.step)
    model.compile(optimizer=moving, jit_compile=False)
    return {**steps_of(keras, model, facts, heads, own, class_weights), **train_step_of(model, params.step)}
