"""Ask a model that is loaded, however many inputs it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelyard.contexts import Predictor

Samples = Mapping[str, "NDArray[Any]"]
"""Raw samples by input, each of shape `(N, *shape)`."""


def ask(predictor: Predictor, samples: Samples, output: str) -> NDArray[Any]:
    """Return what the model answers in `output`, shape `(N, *shape)`."""
    if len(samples) == 1:
        (raw,) = samples.values()
        return predictor.predict(raw)
    return predictor.run(samples)[output]


def rows_of(samples: Samples, rows: Any) -> dict[str, NDArray[Any]]:
    """Return some rows of samples, in memory."""
    import numpy as np

    def held(found: Any) -> NDArray[Any]:
        return np.array(found, object if isinstance(found, bytes) else None)  # numpy would cut zeros off

    return {name: held(array[rows]) for name, array in samples.items()}


def count(samples: Samples) -> int:
    """Return how many samples there are."""
    return len(next(iter(samples.values())))
