"""Columns of an artifact: numbers in one `.npy` file; texts and other bytes in two, all of them in a row and where each begins.

A column of bytes is written as it comes, and read sample by sample: neither needs it in memory as a whole.
"""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError
from modelyard.files.npy import open_array, write_header
from modelyard.files.ragged import AGAIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


class Ragged:
    """A column of bytes. `column[rows]` gives those of some rows as an array of `bytes` objects, shape `(n, ...)`.

    Attributes:
        dtype: that of objects.
        shape: `(N, ...)`.
    """

    def __init__(self, values: NDArray[np.uint8], offsets: NDArray[np.int64], shape: tuple[int, ...] = ()) -> None:
        """Look at bytes.

        Args:
            values: all of them in a row.
            offsets: where each begins.
            shape: the axes of a sample, where it is an array of several.
        """
        import numpy as np

        self.dtype = np.dtype(object)
        self._values, self._offsets, self._each = values, offsets, math.prod(shape)
        self.shape = ((len(offsets) - 1) // max(1, self._each), *shape)

    def __len__(self) -> int:
        """Return how many samples there are."""
        return self.shape[0]

    def __getitem__(self, rows: int | slice | NDArray[np.generic]) -> Any:
        """Return the samples of `rows`; of one row, its bytes, or an array of them."""
        import numpy as np

        if isinstance(rows, int | np.integer) and len(self.shape) == 1:
            return self._row(int(rows))
        if isinstance(rows, int | np.integer):
            return self[np.array([rows])][0]
        numbers = np.arange(len(self))[rows]
        found = np.empty(len(numbers) * self._each, object)
        found[:] = [self._row(int(row) * self._each + at) for row in numbers for at in range(self._each)]
        return found.reshape(len(numbers), *self.shape[1:])

    def _row(self, row: int) -> bytes:
        begin, end = int(self._offsets[row]), int(self._offsets[row + 1])
        if not 0 <= begin <= end <= len(self._values):
            msg = (
                f"sample {row} is said to lie from {begin} to {end}, but there are {len(self._values)} bytes\n  {AGAIN}"
            )
            raise DataError(msg)
        return bytes(self._values[begin:end].tobytes())


def open_column(folder: Path, name: str, dtype: str, shape: tuple[Any, ...] = ()) -> NDArray[Any] | Ragged:
    """Open a column, memory-mapped: `bytes` as `Ragged`, numbers as an array of the shape `(N, ...)`.

    Args:
        folder: where it is.
        name: the column's.
        dtype: the type of what it holds.
        shape: the axes of a sample; what is not said by numbers is none, for bytes of whatever shape are written as one each.
    """
    if dtype == "bytes":
        own = shape if all(isinstance(axis, int) for axis in shape) else ()
        return Ragged(open_array(folder / f"{name}.values.npy"), open_array(folder / f"{name}.offsets.npy"), own)
    column: NDArray[Any] = open_array(folder / f"{name}.npy")
    return column


def write_texts(folder: Path, name: str, blocks: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Write a column of bytes, and yield each block once it is written: an array of `bytes` objects, shape `(n, ...)`."""
    import numpy as np

    offsets = array("q", [0])
    with (folder / f"{name}.values.npy").open("wb") as file:
        write_header(file, np.dtype(np.uint8), (0,))
        for block in blocks:
            for one in block.flat:
                file.write(one)
                offsets.append(offsets[-1] + len(one))
            yield block
        file.seek(0)
        write_header(file, np.dtype(np.uint8), (offsets[-1],))
    np.save(folder / f"{name}.offsets.npy", np.frombuffer(offsets, np.int64))
