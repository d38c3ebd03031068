"""Train a Keras 2 model further, the same way for every model optimizer that fine-tunes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.contexts import OptimizeContext


def fine_tune(
    context: OptimizeContext,
    model: Any,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    callbacks: Sequence[Any] = (),
) -> dict[str, float]:
    """Train `model` in place on the whole training split, with Adam; write `history.json`.

    Args:
        context: the optimizer's context.
        model: the model, which answers what the parent does; it is compiled here.
        epochs: how often to go through the training split.
        batch_size: samples a step.
        learning_rate: Adam's step size.
        callbacks: further Keras callbacks.

    Returns:
        The figures of the last epoch, `train_loss` and for instance `train_accuracy`.

    Raises:
        StageFailed: the loss or another figure is no longer a finite number.
    """
    import numpy as np
    import tf_keras

    from modelyard.files.json import write_json
    from modelyard_plugins.support.heads import heads_of
    from modelyard_plugins.support.keras.feed import batches
    from modelyard_plugins.support.keras.fitting import compile_model, fit
    from modelyard_plugins.support.keras.heads import steps_of
    from modelyard_plugins.support.keras.own_training import stepping
    from modelyard_plugins.support.losses import loss_of
    from modelyard_plugins.support.training import last_figures

    optimizer = tf_keras.optimizers.Adam(learning_rate)
    facts = context.model.facts
    heads = heads_of(context, facts)
    if heads:
        model.compile(optimizer=optimizer, jit_compile=False)
    else:
        compile_model(tf_keras, model, optimizer, loss_of(context.dataset.facts), facts.output)
    rows = np.arange(context.dataset.facts.splits["train"].samples)
    feed = batches(context.dataset, rows, batch_size, seed=context.seed, inputs=facts.inputs)
    steps = steps_of(tf_keras, model, facts, heads) if heads else {}
    with stepping(tf_keras, model, steps) as more:
        history = fit(tf_keras, model, feed, epochs=epochs, context=context, callbacks=[*callbacks, *more])
    write_json(context.out / "history.json", history)
    return last_figures(history)


def steps(context: OptimizeContext, epochs: int, batch_size: int) -> int:
    """Return the number of steps that fine-tuning takes."""
    return epochs * math.ceil(context.dataset.facts.splits["train"].samples / batch_size)
