"""What is known of samples that come a block at a time: mean and standard deviation of each channel, and the extent."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LEVELS = 256
"""Values that a uint8 can have."""


class Statistics(Protocol):
    """Takes in blocks and then knows their mean and standard deviation."""

    def add(self, block: NDArray[np.generic]) -> None:
        """Count in a block of samples, shape `(n, ..., channels)`."""

    @property
    def mean(self) -> tuple[float, ...]:
        """The mean of each channel."""

    @property
    def std(self) -> tuple[float, ...]:
        """The standard deviation of each channel, of the samples as a population."""


def statistics(dtype: np.dtype[Any], channels: int) -> Statistics:
    """Return what takes the statistics of samples of `dtype`: exact for uint8, to the last digits for other types."""
    return Counts(channels) if dtype == "uint8" else Moments(channels)


class Counts:
    """Counts how often each channel of uint8 samples has each value; what follows from that is exact.

    Whole numbers are counted in a tenth of the time that adding up floats takes.
    """

    def __init__(self, channels: int) -> None:
        import numpy as np

        self._counts = np.zeros((channels, _LEVELS), np.int64)

    def add(self, block: NDArray[np.generic]) -> None:
        """Count in a block of samples, uint8, shape `(n, ..., channels)`."""
        import numpy as np

        values: Any = block.reshape(-1, len(self._counts))
        for channel in range(len(self._counts)):
            self._counts[channel] += np.bincount(values[:, channel], minlength=_LEVELS)

    @property
    def mean(self) -> tuple[float, ...]:
        """The mean of each channel."""
        return tuple(total / number for number, total, _ in self._sums())

    @property
    def std(self) -> tuple[float, ...]:
        """The standard deviation of each channel, of the samples as a population."""
        return tuple(
            float(((squares * number - total**2) / number**2) ** 0.5) for number, total, squares in self._sums()
        )

    def _sums(self) -> list[tuple[int, int, int]]:
        """Return the number of values of each channel, their sum and that of their squares; Python's integers hold any."""
        return [
            (sum(row), sum(v * n for v, n in enumerate(row)), sum(v * v * n for v, n in enumerate(row)))
            for row in self._counts.tolist()
        ]


class Moments:
    """Mean and standard deviation of floats, over blocks.

    Source: Chan, Golub, LeVeque 1979, "Updating Formulae and a Pairwise Algorithm", equation 2.1.
    """

    def __init__(self, channels: int) -> None:
        self._channels, self._count = channels, 0
        self._mean: Any = 0.0
        self._squares: Any = 0.0

    def add(self, block: NDArray[np.generic]) -> None:
        """Count in a block of samples, shape `(n, ..., channels)`."""
        import numpy as np

        values = block.reshape(-1, self._channels).astype(np.float64)
        mean, squares = values.mean(axis=0), values.var(axis=0) * len(values)
        delta, total = mean - self._mean, self._count + len(values)
        self._squares = self._squares + squares + delta**2 * (self._count * len(values) / total)
        self._mean = self._mean + delta * (len(values) / total)
        self._count = total

    @property
    def mean(self) -> tuple[float, ...]:
        """The mean of each channel."""
        return tuple(float(value) for value in self._mean)

    @property
    def std(self) -> tuple[float, ...]:
        """The standard deviation of each channel, of the samples as a population."""
        return tuple(float(value) for value in (self._squares / self._count) ** 0.5)


class Extent:
    """The lowest and the highest value of samples that come a block at a time."""

    def __init__(self) -> None:
        self._low, self._high = math.inf, -math.inf

    def add(self, block: NDArray[np.generic]) -> None:
        """Count in a block of samples, any shape."""
        values: Any = block
        self._low, self._high = min(self._low, float(values.min())), max(self._high, float(values.max()))

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest value; 0 and 1 where there was no other than one, which has no extent to scale by."""
        return (self._low, self._high) if self._low < self._high else (0.0, 1.0)
