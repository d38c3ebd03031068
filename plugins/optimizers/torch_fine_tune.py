"""The model optimizer `torch-fine-tune`: train a PyTorch model further; the fair baseline of pruning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard.params import PositiveFloat, PositiveInt
from modelyard_plugins.support.losses import LOSSES
from modelyard_plugins.support.torch.start import TORCH
from modelyard_plugins.support.torch.tuning import fine_tune

if TYPE_CHECKING:
    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer


def torch_fine_tune(
    context: OptimizeContext,
    *,
    epochs: PositiveInt = 2,
    batch_size: PositiveInt = 32,
    learning_rate: PositiveFloat = 0.0005,
) -> None:
    """Train a PyTorch model further, as `torch-prune` does, but prune nothing: the fair baseline.

    Args:
        context: the parent model and the data set.
        epochs: how often to go through the training split.
        batch_size: samples a step.
        learning_rate: Adam's step size.
    """
    fine_tune(context, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    trains_like = "torch-fine-tune"
    register(
        "torch-fine-tune",
        torch_fine_tune,
        accepts=("torch",),
        produces="torch",
        trains_like=trains_like,
        losses=LOSSES,
        trains_several=True,
        **TORCH,
    )
