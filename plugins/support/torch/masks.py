"""Which weights to prune, by torch.nn.utils.prune, and when, while a model is fine-tuned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from modelyard_plugins.support.torch.layers import Layer

Scope = Literal["layer", "global", "filters"]
Schedule = Literal["polynomial", "constant"]

_UPDATES = 40
"""How often the mask is chosen anew while the sparsity grows."""


def sparsity_by_step(schedule: Schedule, sparsity: float, steps: int) -> dict[int, float]:
    """Return the steps, from 1, after which masks are chosen anew, and the sparsity from then on.

    `polynomial` reaches `sparsity` after three quarters of the steps, `constant` has it after the first.

    Source: M. Zhu, S. Gupta, "To prune, or not to prune", 2017: `s * (1 - (1 - t)^3)`.
    """
    if schedule == "constant":
        return {1: sparsity}
    ramp = max(1, steps * 3 // 4)
    frequency = max(1, ramp // _UPDATES)
    last = ramp // frequency * frequency
    return {step: sparsity * (1 - (1 - step / last) ** 3) for step in range(frequency, last + 1, frequency)}


def choose_masks(weights: Sequence[Any], layers: Sequence[Layer], scope: Scope, sparsity: float) -> list[Any]:
    """Return a mask for each of `weights`: 1 where it stays, 0 where it is pruned, of its shape.

    Args:
        weights: a tensor for each layer; zeros, being smallest, stay pruned.
        layers: the layers that they belong to.
        scope: the smallest weights of each layer, the smallest of all layers, or the smallest filters of each layer.
        sparsity: the fraction to prune.
    """
    import torch
    from torch.nn.utils import prune

    with torch.no_grad():
        if scope == "global":
            every = torch.cat([weight.reshape(-1) for weight in weights])
            mask = prune.L1Unstructured(sparsity).compute_mask(every, torch.ones_like(every))
            parts = mask.split([weight.numel() for weight in weights])
            return [part.reshape(weight.shape) for part, weight in zip(parts, weights, strict=True)]
        pruning = [
            prune.L1Unstructured(sparsity) if scope == "layer" else prune.LnStructured(sparsity, 2, layer.filter_axis)
            for layer in layers
        ]
        ones = [torch.ones_like(weight) for weight in weights]
        return [how.compute_mask(*both) for how, *both in zip(pruning, weights, ones, strict=True)]


def mask_after_steps(
    weights: Sequence[Any], layers: Sequence[Layer], scope: Scope, updates: Mapping[int, float]
) -> Callable[[], None]:
    """Return what to call after each step: it zeroes the pruned weights, and chooses them anew when it is time.

    Args:
        weights: the parameters to prune, changed in place.
        layers: the layers that they belong to.
        scope: see `choose_masks`.
        updates: the steps, from 1, after which masks are chosen, and the sparsity from then on.
    """
    import torch

    step, masks = 0, [torch.ones_like(weight) for weight in weights]

    def after_step() -> None:
        nonlocal step, masks
        step += 1
        if step in updates:
            masks = choose_masks(weights, layers, scope, updates[step])
        with torch.no_grad():
            for weight, mask in zip(weights, masks, strict=True):
                weight.mul_(mask)

    return after_step
