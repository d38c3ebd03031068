"""The model optimizer `torch-prune`: magnitude pruning of a PyTorch model with fine-tuning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.params import OpenFraction, PositiveFloat, PositiveInt
from modelyard_plugins.support.losses import LOSSES
from modelyard_plugins.support.torch.layers import Layer, choose, layers_of
from modelyard_plugins.support.torch.masks import Schedule, Scope, mask_after_steps, sparsity_by_step
from modelyard_plugins.support.torch.start import TORCH
from modelyard_plugins.support.torch.tuning import fine_tune

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer


def torch_prune(
    context: OptimizeContext,
    *,
    sparsity: OpenFraction = 0.5,
    scope: Scope = "layer",
    schedule: Schedule = "polynomial",
    epochs: PositiveInt = 2,
    batch_size: PositiveInt = 32,
    learning_rate: PositiveFloat = 0.0005,
    skip: tuple[str, ...] = (),
) -> None:
    """Prune a PyTorch model by magnitude and fine-tune: weights of convolutions and linear layers become zero.

    The file keeps its size; compression (an image's layers, gzip) is where pruning shows.

    Args:
        context: the parent model and the data set.
        sparsity: fraction of the weights, or of the filters, that ends as zero.
        scope: `layer` prunes the smallest weights of each layer, `global` the smallest of all layers together, `filters`
            whole filters (and units of linear layers) with the smallest L2 norm, but for those of the last layer.
        schedule: `polynomial` grows the sparsity over the first three quarters of the steps, `constant` has it at once.
        epochs: how often to go through the training split.
        batch_size: samples a step.
        learning_rate: Adam's step size.
        skip: names of layers to leave as they are.
    """
    chosen: list[Layer] = []

    def watch(program: Any, module: Any, steps: int) -> Callable[[], None]:
        layers = layers_of(program)
        last = () if scope != "filters" else tuple(layer.name for layer in layers[-1:])
        chosen.extend(choose(layers, tuple(dict.fromkeys((*skip, *last))), "torch-prune"))
        context.log(f"pruning {', '.join(layer.name for layer in chosen)} to {sparsity:.0%}, {steps:,} steps")
        weights = [module.get_parameter(layer.weight) for layer in chosen]
        return mask_after_steps(weights, chosen, scope, sparsity_by_step(schedule, sparsity, steps))

    program = fine_tune(context, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, watch=watch)
    context.metrics.update(_sparsity(program, chosen))


def _sparsity(program: Any, layers: list[Layer]) -> dict[str, Any]:
    """Return the fraction of zeros, over all pruned layers and for each of them."""
    weights = {layer.name: program.state_dict[layer.weight] for layer in layers}
    zeros = {name: int((weight == 0).sum()) for name, weight in weights.items()}
    whole = sum(zeros.values()) / sum(weight.numel() for weight in weights.values())
    return {"sparsity": whole, "sparsity_per_layer": {n: zeros[n] / w.numel() for n, w in weights.items()}}


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    trains_like = "torch-fine-tune"
    register(
        "torch-prune",
        torch_prune,
        accepts=("torch",),
        produces="torch",
        trains_like=trains_like,
        losses=LOSSES,
        trains_several=True,
        **TORCH,
    )
