"""The targets that go with samples: of each position of a sample, where samples are of several lengths, so are they."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard_plugins.support.heads import labels_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Dataset


class Targets:
    """The targets of the training split, of one output, or of several together; where it has no labels, the numbers of its samples."""

    def __init__(self, dataset: Dataset) -> None:
        import numpy as np

        self._y: Any = dataset.y("train") if dataset.has_labels else np.arange(dataset.facts.splits["train"].samples)
        inputs = {one.shape[0]: one.name for one in reversed(dataset.facts.inputs) if one.shape}
        axes = {one.name: one.shape[0] for one in dataset.facts.outputs if one.shape}
        self._like = {name: inputs[axis] for name, axis in axes.items() if isinstance(axis, str) and axis in inputs}
        self._only = "" if self._y.dtype.names else next(iter(axes), "")

    @property
    def specs(self) -> Any:
        """The axes of a batch of them, and their type, a pair; of several outputs a dict of pairs. None: a length that varies."""
        if not self._y.dtype.names:
            return self._spec(self._only, self._y)
        return {name: self._spec(name, self._y[name]) for name in self._y.dtype.names}

    def _spec(self, name: str, labels: NDArray[Any]) -> tuple[tuple[int | None, ...], Any]:
        tail = labels.shape[1:]
        return (None, *((None, *tail[1:]) if tail and name in self._like else tail)), labels.dtype

    def of(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return the targets of `rows`, shape `(n, ...)`; those of several outputs have a field for each, shape `(n,)`."""
        found: NDArray[Any] = self._y[rows]
        return found

    def beside(self, labels: NDArray[Any], samples: Mapping[str, NDArray[Any]]) -> Any:
        """Return what `of` gave as a network learns it: as long as the longest of `samples`; several outputs as a dict by name."""
        found = labels_of(labels)
        if not isinstance(found, dict):
            return self._cut(self._only, found, samples)
        return {name: self._cut(name, one, samples) for name, one in found.items()}

    def _cut(self, name: str, labels: NDArray[Any], samples: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        has_positions = labels.ndim > 1 and name in self._like
        return labels[:, : samples[self._like[name]].shape[1]] if has_positions else labels
