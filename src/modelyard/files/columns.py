"""Columns of an artifact: numbers in one `.npy` file; texts and other bytes in two, all of them in a row and where each begins.

A column of bytes is written as it comes, and read sample by sample: neither needs it in memory as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError
from modelyard.files.npy import open_array, write_header
from modelyard.files.ragged import AGAIN

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


class Ragged:
    """A column of bytes. `column[rows]` gives those of some rows as an array of `bytes` objects, shape `(n,)`.

    Attributes:
        shape: `(N,)`.
    """

    def __init__(self, values: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
        self._values, self._offsets = values, offsets
        self.shape = (len(offsets) - 1,)

    def __len__(self) -> int:
        """Return how many samples there are."""
        return self.shape[0]

    def __getitem__(self, rows: int | slice | NDArray[np.generic]) -> Any:
        """Return the samples of `rows`; of one row, its bytes."""
        import numpy as np

        if isinstance(rows, int):
            return self._row(rows)
        numbers = np.arange(len(self))[rows]
        found = np.empty(len(numbers), object)
        found[:] = [self._row(row) for row in numbers]
        return found

    def _row(self, row: int) -> bytes:
        begin, end = int(self._offsets[row]), int(self._offsets[row + 1])
        if not 0 <= begin <= end <= len(self._values):
            msg = (
                f"sample {row} is said to lie from {begin} to {end}, but there are {len(self._values)} bytes\n  {AGAIN}"
            )
            raise DataError(msg)
        return bytes(self._values[begin:end].tobytes())


def open_column(folder: Path, name: str, dtype: str) -> NDArray[Any] | Ragged:
    """Open a column, memory-mapped: `bytes` as `Ragged`, numbers as an array of the shape `(N, ...)`."""
    if dtype == "bytes":
        return Ragged(open_array(folder / f"{name}.values.npy"), open_array(folder / f"{name}.offsets.npy"))
    column: NDArray[Any] = open_array(folder / f"{name}.npy")
    return column


def write_texts(folder: Path, name: str, blocks: Iterable[NDArray[Any]]) -> None:
    """Write a column of bytes, block by block, each an array of `bytes` objects, shape `(n,)`."""
    import numpy as np

    offsets = [0]
    with (folder / f"{name}.values.npy").open("wb") as file:
        write_header(file, np.dtype(np.uint8), (0,))
        for block in blocks:
            for one in block:
                file.write(one)
                offsets.append(offsets[-1] + len(one))
        file.seek(0)
        write_header(file, np.dtype(np.uint8), (offsets[-1],))
    np.save(folder / f"{name}.offsets.npy", np.asarray(offsets, np.int64))
