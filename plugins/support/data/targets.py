"""The targets that go with samples: of each position of a sample, where samples are of several lengths, so are they."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Dataset


class Targets:
    """The targets of the training split; where it has no labels, the numbers of its samples.

    Attributes:
        dtype: their type.
        shape: their axes without that of the batch; None: as long as the longest sample beside it.
    """

    def __init__(self, dataset: Dataset) -> None:
        import numpy as np

        self._y: NDArray[np.generic]
        self._y = dataset.y("train") if dataset.has_labels else np.arange(dataset.facts.splits["train"].samples)
        self.dtype = self._y.dtype
        axis = dataset.facts.outputs[0].shape[0] if dataset.facts.outputs[0].shape else None
        self._like = next((one.name for one in dataset.facts.inputs if one.shape[:1] == (axis,)), None)
        if isinstance(axis, int) or self._y.ndim == 1:
            self._like = None
        tail = self._y.shape[1:]
        self.shape: tuple[int | None, ...] = (None, *tail[1:]) if self._like else tail

    def of(self, rows: NDArray[np.int64], samples: Mapping[str, NDArray[Any]]) -> NDArray[np.generic]:
        """Return the targets of `rows`, shape `(n, ...)`; `samples` are theirs, by input."""
        found: NDArray[np.generic] = self._y[rows]
        return found if self._like is None else found[:, : samples[self._like].shape[1]]
