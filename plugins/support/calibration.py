"""The samples that a quantizer measures the ranges of activations on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Dataset


def calibration_rows(dataset: Dataset, samples: int, seed: int) -> NDArray[np.int64]:
    """Return up to `samples` different rows of the training split, chosen from `seed`, sorted, int64."""
    import numpy as np

    there_are = dataset.facts.splits["train"].samples
    return np.sort(np.random.default_rng(seed).choice(there_are, min(samples, there_are), replace=False))
