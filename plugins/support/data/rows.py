"""Arrays that live on disk, for data sets that would not fit in memory a second time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

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


Range = tuple[float, float] | Literal["auto"]


def range_of(given: tuple[float, float] | None, *samples: NDArray[np.generic]) -> Range:
    """Return the value range of samples: what is given; of whole numbers but bytes the lowest and highest; else `auto`.

    Ids have to be known to fit the type that a model takes, and one beyond those that were learnt would be none.
    """
    import numpy as np

    if given or any(x.dtype.kind not in "iu" or x.dtype == np.uint8 or not x.size for x in samples):
        return given or "auto"
    low, high = min(int(x.min()) for x in samples), max(int(x.max()) for x in samples)
    return (low, high) if low < high else "auto"


def take_rows(x: NDArray[np.generic], rows: NDArray[np.int64], folder: Path) -> NDArray[Any]:
    """Return `rows` of `x` as an array on disk, in `folder`; a few megabytes at a time are in memory."""
    taken = on_disk(folder, x.dtype, (len(rows), *x.shape[1:]))
    step = max(1, _BLOCK_BYTES * len(x) // max(1, x.nbytes))
    for start in range(0, len(rows), step):
        taken[start : start + step] = x[rows[start : start + step]]
    return taken
