"""What accumulators of tasks share: how far numbers are from their mean, over blocks and parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Spread:
    """Mean and variance of each place in samples, in as much memory as two samples.

    Source: Chan, Golub, LeVeque 1979, "Updating Formulae and a Pairwise Algorithm", equation 2.1.
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean: Any = 0.0
        self._squares: Any = 0.0

    def add(self, samples: NDArray[Any]) -> None:
        """Take further samples, float64, shape `(n, ...)`."""
        self._join(len(samples), samples.mean(axis=0), samples.var(axis=0) * len(samples))

    def merge(self, other: Spread) -> None:
        """Take what another found of other samples."""
        if other._count:
            self._join(other._count, other._mean, other._squares)

    @property
    def variance(self) -> NDArray[Any]:
        """The variance of each place, of the samples as a population, shape `(...)`."""
        found: NDArray[Any] = self._squares / self._count
        return found

    def _join(self, count: int, mean: NDArray[Any], squares: NDArray[Any]) -> None:
        total = self._count + count
        delta = mean - self._mean
        self._squares = self._squares + squares + delta**2 * (self._count * count / total)
        self._mean = self._mean + delta * (count / total)
        self._count = total
