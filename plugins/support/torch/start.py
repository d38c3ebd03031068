"""What every PyTorch component has in common, so that one worker serves them all. Imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelyard.hookspecs import Traits

# CUBLAS_WORKSPACE_CONFIG: without a workspace of fixed size cuBLAS sums differently from run to run, and torch refuses it.
# OMP_WAIT_POLICY: threads that wait give their core away. Stages run side by side here: on two busy cores an epoch of
# `digits-cnn-torch` takes 0.5 s, and 3 s with threads that spin.
TORCH: Traits = {
    "tools": ("torch", "numpy"),
    "environment": {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "OMP_WAIT_POLICY": "PASSIVE"},
    # torch.export imports torch._dynamo when it is first used, which takes as long as torch itself
    "preload": ("torch", "torch._dynamo"),
    "resources": ("gpu",),
    "deterministic": True,  # by `start`
}


def start(seed: int) -> None:
    """Seed every random generator and let PyTorch use deterministic kernels only: same key, same bytes."""
    import random

    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


def device() -> Any:
    """Return where to compute: the first GPU that CUDA offers, else the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
