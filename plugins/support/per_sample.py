"""What accumulators of tasks share: the value of each sample, in the order of the split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


class PerSample:
    """One number, or truth value, of each sample so far."""

    def __init__(self) -> None:
        self._parts: list[NDArray[Any]] = []

    def add(self, values: NDArray[Any]) -> None:
        """Take those of further samples, shape `(n,)`."""
        self._parts.append(values)

    def merge(self, later: PerSample) -> None:
        """Take those of the samples that follow."""
        self._parts += later._parts

    @property
    def values(self) -> NDArray[Any]:
        """All of them, shape `(samples,)`."""
        import numpy as np

        return np.concatenate(self._parts)
