"""Arrays that live on disk, for data sets that would not fit in memory a second time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_BLOCK_BYTES = 8 << 20


def on_disk(folder: Path, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return a new array of zeros in a file in `folder` that has no name: it goes when the array does."""
    import tempfile

    import numpy as np

    with tempfile.TemporaryFile(dir=folder) as file:
        # the map outlives the file's name and descriptor; memory is given back under pressure
        return np.memmap(file, dtype, "w+", shape=shape)


def take_rows(x: NDArray[np.generic], rows: NDArray[np.int64], folder: Path) -> NDArray[Any]:
    """Return `rows` of `x` as an array on disk, in `folder`; a few megabytes at a time are in memory."""
    taken = on_disk(folder, x.dtype, (len(rows), *x.shape[1:]))
    step = max(1, _BLOCK_BYTES * len(x) // max(1, x.nbytes))
    for start in range(0, len(rows), step):
        taken[start : start + step] = x[rows[start : start + step]]
    return taken
