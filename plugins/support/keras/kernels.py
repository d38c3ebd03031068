"""Count what pruning and clustering leave in weights: zeros and different values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import ConfigError, StageFailed

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    Kernels = dict[str, NDArray[np.generic]]
    """Arrays by a name that tells layer, and weight where a layer has several."""


def model_kernels(model: Any) -> Kernels:
    """Return every weight of two axes or more, by layer and name: `conv1/kernel`; biases and the like are left out.

    A layer that is wrapped for quantization goes by its own name, so that it can be compared with what it was before.
    """
    found: Kernels = {}
    for layer in model.layers:
        name = getattr(layer, "layer", layer).name
        for weight in layer.weights:
            if len(weight.shape) > 1:
                found[f"{name}/{weight.name.split(':')[0].rpartition('/')[2]}"] = weight.numpy()
    return found


def sparsity(kernels: Iterable[NDArray[np.generic]]) -> float:
    """Return the fraction of all weights that are zero."""
    counts = [(int((kernel == 0).sum()), kernel.size) for kernel in kernels]
    return sum(zeros for zeros, _ in counts) / max(1, sum(size for _, size in counts))


def unique_weights(kernel: NDArray[np.generic], *, per_channel: bool = False) -> int:
    """Return how many different values a kernel holds, or at most in one channel (its last axis)."""
    import numpy as np

    if not per_channel:
        return len(np.unique(kernel))
    return max(len(np.unique(kernel[..., channel])) for channel in range(kernel.shape[-1]))


def check_sparse(kernels: Kernels, where: str) -> None:
    """Check that there is a sparsity to preserve.

    Raises:
        ConfigError: no weight is zero.
    """
    if not any((kernel == 0).any() for kernel in kernels.values()):
        msg = (
            f"{where}: the parent model has no weight that is zero\n"
            '  put { use = "prune" } before it in the variant\'s chain, or do not ask for it'
        )
        raise ConfigError(msg)


def check_zeros(before: Kernels, after: Kernels, optimizer: str) -> None:
    """Check that every weight that was zero still is.

    Raises:
        StageFailed: one is not.
    """
    for name, kernel in before.items():
        lost = int(((kernel == 0) & (after[name] != 0)).sum())
        if lost:
            msg = (
                f"{optimizer}: {lost:,} of the weights of {name!r} that were zero no longer are\n"
                f"  {leave_out(name)}, or do not ask for the sparsity to be preserved"
            )
            raise StageFailed(msg)


def leave_out(name: str) -> str:
    """Return what to do about the kernel `name` that did not turn out as it should."""
    return f'leave the layer out with skip = ["{name.partition("/")[0]}"]'
