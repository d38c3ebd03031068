"""The samples that a quantizer measures the ranges of activations on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Dataset


def calibration_rows(dataset: Dataset, samples: int, seed: int) -> NDArray[np.int64]:
    """Return up to `samples` different rows of the training split, chosen from `seed`, sorted, int64."""
    import numpy as np

    there_are = dataset.facts.splits["train"].samples
    return np.sort(np.random.default_rng(seed).choice(there_are, min(samples, there_are), replace=False))


def samples(dataset: Dataset, rows: NDArray[np.int64]) -> Callable[[], Iterator[list[NDArray[np.float32]]]]:
    """Return what the LiteRT converter calibrates with: a function that yields the model's input for one row at a time."""

    def generate() -> Iterator[list[NDArray[np.float32]]]:
        for row in rows:
            yield [dataset.inputs("train", slice(row, row + 1))]

    return generate
