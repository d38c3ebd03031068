"""Write splits as `.npy` files a block at a time, checking values on the way."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError
from modelyard.files.npy import write_header

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.task import Task
    from modelyard.tensors import OutputFacts

_BLOCK_BYTES = 8 << 20


def write_samples(
    path: Path, x: NDArray[np.generic], dtype: np.dtype[Any], value_range: tuple[float, float] | None, name: str
) -> Iterator[NDArray[np.generic]]:
    """Write `x` to `path` as `dtype` and yield each block once it is written.

    Raises:
        DataError: a value is not finite, or outside `value_range`; the message calls the array `name` and says the sample.
    """
    rows = max(1, _BLOCK_BYTES // (dtype.itemsize * max(1, x[0].size)))
    with path.open("wb") as file:
        write_header(file, dtype, x.shape)
        for start in range(0, len(x), rows):
            raw = x[start : start + rows]
            _check_values(raw, start, name, value_range or (-math.inf, math.inf))
            block = raw.astype(dtype, order="C")
            file.write(block.data)
            yield block


def write_labels(
    out: Path, split: str, y: NDArray[np.generic] | None, task: Task, wanted: OutputFacts
) -> tuple[int, ...]:
    """Write the labels of `split` to the folder `out` as the task keeps them, if there are any.

    Returns:
        How many samples have each label; none where that means nothing.
    """
    import numpy as np

    if y is None:
        return ()
    labels = task.stored(y)
    with (out / f"{split}_y.npy").open("wb") as file:
        write_header(file, labels.dtype, labels.shape)
        file.write(np.ascontiguousarray(labels).data)
    return task.counts(labels, wanted)


def _check_values(raw: NDArray[np.generic], start: int, name: str, value_range: tuple[float, float]) -> None:
    """Check a block in its own type: after the conversion a value too large would have wrapped around."""
    import numpy as np

    low, high = value_range
    least, most = raw.min(), raw.max()  # nan if any value is
    if raw.dtype.kind == "f":
        low, high = float(raw.dtype.type(low)), float(raw.dtype.type(high))
    if np.isfinite(least) and np.isfinite(most) and low <= least and most <= high:
        return
    flat: Any = raw.reshape(len(raw), -1)
    bad = ~((flat >= low) & (flat <= high) & np.isfinite(flat))
    row = int(np.flatnonzero(bad.any(axis=1))[0])
    value = flat[row][bad[row]][0].item()
    what = f"outside the value range {low:g} to {high:g}" if np.isfinite(value) else "not a finite number"
    msg = (
        f"{name}: sample {start + row} holds {value!r}, which is {what}\n  mend the data, or give its true value range"
    )
    raise DataError(msg)
