"""Numbers that lie on disk as float16 and are looked at as float32: half the room, and nobody has to know."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Halves:
    """An array of float16; to a reader one of float32, of which a copy is made of what is looked at.

    Attributes:
        dtype: float32.
        shape: that of the array.
    """

    def __init__(self, array: NDArray[Any]) -> None:
        import numpy as np

        self._array = array
        self.dtype, self.shape, self.ndim = np.dtype(np.float32), array.shape, len(array.shape)

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        """Return how many samples there are."""
        return len(self._array)

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        """Return some samples, float32."""
        import numpy as np

        return np.asarray(self._array[rows], np.float32)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all of it as numpy asks for it."""
        import numpy as np

        return np.asarray(self._array, dtype or np.float32)


def widened(array: Any) -> Any:
    """Return `array`, looked at as float32 where it is float16."""
    return Halves(array) if array.dtype == "float16" else array
