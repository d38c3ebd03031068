"""Write splits as `.npy` files a block at a time, checking values on the way."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import SplitFacts, samples_file
from modelyard.errors import DataError
from modelyard.files.columns import write_texts
from modelyard.files.npy import write_header
from modelyard.files.ragged_files import write_ragged
from modelyard.stages.several import Several
from modelyard.stages.splits.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.files.ragged import Block
    from modelyard.stages.splits.column import Column
    from modelyard.task import Task
    from modelyard.tensors import OutputFacts

    Range = tuple[float, float] | None

_BLOCK_BYTES = 8 << 20


def write_samples(
    path: Path, x: NDArray[np.generic], dtype: np.dtype[Any], value_range: Range, name: str
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
            if (wrong := _first_wrong(raw, value_range)) is not None:
                raise _refused(name, start + wrong[0], wrong[1], value_range)
            block = raw.astype(dtype, order="C")
            file.write(block.data)
            yield block


def write_column(
    out: Path, name: str, column: Column, dtype: np.dtype[Any], split: str = ""
) -> Iterator[tuple[int, NDArray[np.generic]]]:
    """Write the samples of a split to the folder `out`, and yield how many each block has, and the block, once it is written.

    Those of several lengths have no axis of samples in a block: all of their values stand in a row. Texts are `bytes`.

    Args:
        out: a folder that exists.
        name: what the split is called on disk.
        column: its samples.
        dtype: their type on disk.
        split: which of the column's two it is; empty: the one that is called so.

    Raises:
        DataError: a value is not finite, or outside the value range.
    """
    split = split or name
    x, place = getattr(column, split), column.place(split)
    file = samples_file(name, column.name)
    if isinstance(x, Texts):
        return ((len(block), block) for block in write_texts(out, file.removesuffix(".npy"), x.blocks()))
    if not column.axis:
        return ((len(block), block) for block in write_samples(out / file, x, dtype, column.value_range, place))
    if column.mask:  # ones, as many as there are values of the other column
        return iter([(len(x), x[:1])])
    return _write_ragged(out, file.removesuffix(".npy"), x, dtype, column.value_range, place)


def _write_ragged(
    out: Path, name: str, x: Any, dtype: np.dtype[Any], value_range: Range, place: str
) -> Iterator[tuple[int, NDArray[np.generic]]]:
    """Write samples of several lengths, and yield how many each block has, and their values in a row."""
    import numpy as np

    def checked(block: Block) -> Block:
        wrong = _first_wrong(block.values, value_range)
        if wrong is not None:
            row = int(np.searchsorted(np.cumsum(block.lengths), wrong[0], "right"))
            raise _refused(place, block.first + row, wrong[1], value_range)
        return block._replace(values=block.values.astype(dtype, order="C", copy=False))

    blocks = map(checked, x.blocks(_BLOCK_BYTES))
    for block in write_ragged(out, name, dtype, x.shape[2:], blocks):
        yield len(block.lengths), block.values


def write_labels(
    out: Path, split: str, samples: int, y: NDArray[np.generic] | None, task: Task, wanted: OutputFacts
) -> SplitFacts:
    """Write the labels of `split` to the folder `out` as the task keeps them, if there are any.

    Returns:
        How many of its `samples` have each label.
    """
    import numpy as np

    if y is None:
        return SplitFacts(samples)
    labels = task.stored(y)
    with (out / f"{split}_y.npy").open("wb") as file:
        write_header(file, labels.dtype, labels.shape)
        file.write(np.ascontiguousarray(labels).data)
    if isinstance(task, Several):
        return SplitFacts(samples, per_output=task.counts_by_output(labels, wanted))
    return SplitFacts(samples, task.counts(labels, wanted))


def _first_wrong(raw: NDArray[np.generic], value_range: Range) -> tuple[int, Any] | None:
    """Return the first row of a block that holds a value that is not allowed, and the value.

    The block is looked at in its own type: after the conversion a value too large would have wrapped around.
    """
    import numpy as np

    low, high = value_range or (-math.inf, math.inf)
    least, most = raw.min(), raw.max()  # nan if any value is
    if raw.dtype.kind == "f":
        low, high = float(raw.dtype.type(low)), float(raw.dtype.type(high))
    if np.isfinite(least) and np.isfinite(most) and low <= least and most <= high:
        return None
    flat: Any = raw.reshape(len(raw), -1)
    bad = ~((flat >= low) & (flat <= high) & np.isfinite(flat))
    row = int(np.flatnonzero(bad.any(axis=1))[0])
    return row, flat[row][bad[row]][0].item()


def _refused(name: str, sample: int, value: Any, value_range: Range) -> DataError:
    low, high = value_range or (-math.inf, math.inf)
    what = f"outside the value range {low:g} to {high:g}" if math.isfinite(value) else "not a finite number"
    return DataError(
        f"{name}: sample {sample} holds {value!r}, which is {what}\n  mend the data, or give its true value range"
    )
