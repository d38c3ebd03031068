"""The samples that a quantizer measures the ranges of activations on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


def samples(dataset: Dataset, rows: NDArray[np.int64], dtype: str) -> Callable[[], Iterator[list[NDArray[Any]]]]:
    """Return what the LiteRT converter calibrates with: a function that yields the model's input for one row at a time.

    Args:
        dataset: the data set.
        rows: rows of the training split, int64, shape `(n,)`.
        dtype: the type of the model's input.
    """

    def generate() -> Iterator[list[NDArray[Any]]]:
        for row in rows:
            yield [dataset.inputs("train", slice(row, row + 1)).astype(dtype, copy=False)]

    return generate
