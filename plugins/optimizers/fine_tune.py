"""The model optimizer `fine-tune`: train further and change nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard.params import PositiveFloat, PositiveInt
from modelyard_plugins.support.losses import LOSSES
from modelyard_plugins.support.tensorflow import TENSORFLOW, start

if TYPE_CHECKING:
    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer


def fine_tune(
    context: OptimizeContext,
    *,
    epochs: PositiveInt = 2,
    batch_size: PositiveInt = 32,
    learning_rate: PositiveFloat = 0.0005,
) -> None:
    """Train further, as the other fine-tuning model optimizers do: the fair baseline for them.

    A variant that fine-tunes is often more accurate than its parent because it trained longer, not for what was done
    to its weights. Compare it with this one, given as many epochs.

    Args:
        context: the parent model and the data set.
        epochs: how often to go through the training split.
        batch_size: samples a step.
        learning_rate: Adam's step size.
    """
    from modelyard.artifacts import format_file
    from modelyard_plugins.support.keras import fine_tuning
    from modelyard_plugins.support.keras_files import load_keras, save_keras

    start(context.seed)
    model = load_keras(context.model.path)
    figures = fine_tuning.fine_tune(context, model, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    save_keras(model, context.out / format_file("tf_keras"))
    context.metrics.update(figures, epochs=epochs)


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    register(
        "fine-tune",
        fine_tune,
        accepts=("tf_keras",),
        produces="tf_keras",
        trains_like="fine-tune",
        losses=LOSSES,
        trains_several=True,
        **TENSORFLOW,
    )
