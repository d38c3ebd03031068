"""Columns of samples of several lengths on disk: their values in shards, and where each sample begins.

Nothing is padded. `NAME.offsets.npy` is int64, shape `(N + 1,)`; the values, shape `(total, ...)`, stand in
`NAME.values-00000.npy`, `NAME.values-00001.npy` and so on, and each sample in one of them.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError
from modelyard.files.halves import widened
from modelyard.files.npy import open_array, write_header
from modelyard.files.ragged import AGAIN, RaggedArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.files.ragged import Block

SHARD_BYTES = 1 << 30
"""How large a shard becomes, unless a single sample is larger: what is changed in one leaves the others as they are."""


class Shards:
    """Values in several arrays, one behind the other. A slice of them lies in one."""

    def __init__(self, arrays: Sequence[NDArray[Any]]) -> None:
        self._arrays, self._starts = arrays, [0]
        for one in arrays:
            self._starts.append(self._starts[-1] + len(one))
        self.dtype = arrays[0].dtype
        self.shape = (self._starts[-1], *arrays[0].shape[1:])

    def __len__(self) -> int:
        """Return how many values there are."""
        return int(self.shape[0])

    def __getitem__(self, span: slice) -> NDArray[Any]:
        """Return the values from `span.start` to before `span.stop`."""
        number = min(bisect_right(self._starts, span.start), len(self._arrays)) - 1
        first = self._starts[number]
        return self._arrays[number][span.start - first : span.stop - first]


def write_ragged(
    folder: Path,
    name: str,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    blocks: Iterable[Block],
    most: int | None = None,
) -> Iterator[Block]:
    """Write a column, and yield each block once it is written: one is in memory at a time.

    Args:
        folder: a folder that exists.
        name: the column's.
        dtype: the type of the values.
        shape: the axes of one value; none of a number.
        blocks: all samples, in their order.
        most: how many bytes a shard has at most, unless a single sample is larger; None: `SHARD_BYTES`.
    """
    import numpy as np

    values = _Values(folder, name, dtype, shape, SHARD_BYTES if most is None else most)
    with values, _Offsets(folder / f"{name}.offsets.npy") as offsets:
        for block in blocks:
            offsets.add(block.lengths)
            values.add(block.values, np.cumsum(block.lengths))
            yield block


class _Growing:
    """An array on disk that becomes longer; its header is written anew at the end."""

    def __init__(self, path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self.count, self._dtype, self._shape = 0, dtype, shape
        self._file: BinaryIO = path.open("wb")
        write_header(self._file, dtype, (0, *shape))

    def add(self, values: NDArray[Any]) -> None:
        import numpy as np

        self._file.write(np.ascontiguousarray(values, self._dtype).data)
        self.count += len(values)

    def close(self) -> None:
        self._file.seek(0)
        write_header(self._file, self._dtype, (self.count, *self._shape))
        self._file.close()


class _Offsets:
    """Where samples begin."""

    def __init__(self, path: Path) -> None:
        import numpy as np

        self._array, self._end = _Growing(path, np.dtype(np.int64), ()), 0
        self._array.add(np.zeros(1, np.int64))

    def __enter__(self) -> _Offsets:
        return self

    def __exit__(self, *_: object) -> None:
        self._array.close()

    def add(self, lengths: NDArray[np.int64]) -> None:
        import numpy as np

        self._array.add(self._end + np.cumsum(lengths))
        self._end += int(lengths.sum())


class _Values:
    """The values, in shards."""

    def __init__(self, folder: Path, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], most: int) -> None:
        self._folder, self._name, self._dtype, self._shape = folder, name, dtype, shape
        self._most = most // max(1, dtype.itemsize * math.prod(shape))
        self._number = 0
        self._shard = self._opened()

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._shard.close()

    def add(self, values: NDArray[Any], ends: NDArray[np.int64]) -> None:
        """Write the values of some samples, each of which ends at one of `ends`; a shard that is full is followed by another."""
        import numpy as np

        row = at = 0
        while row < len(ends):
            room = max(0, self._most - self._shard.count)
            fitting = int(np.searchsorted(ends, at + room, "right"))
            if fitting == row and self._shard.count:
                self._next()
                continue
            row = max(fitting, row + 1)  # a sample that is larger than a shard has one to itself
            self._shard.add(values[at : ends[row - 1]])
            at = int(ends[row - 1])

    def _next(self) -> None:
        self._shard.close()
        self._number += 1
        self._shard = self._opened()

    def _opened(self) -> _Growing:
        return _Growing(self._folder / f"{self._name}.values-{self._number:05d}.npy", self._dtype, self._shape)


def open_ragged(folder: Path, name: str, pad: float) -> RaggedArray:
    """Open a column, memory-mapped.

    Raises:
        DataError: a file is missing, damaged, or not like the others.
    """
    offsets = open_array(folder / f"{name}.offsets.npy")
    arrays = {path: open_array(path) for path in _shards(folder, name)}
    first = next(iter(arrays.values()))
    for path, one in arrays.items():
        if (one.dtype, one.shape[1:]) != (first.dtype, first.shape[1:]):
            msg = f"{path}: holds {one.dtype} of the shape {one.shape[1:]}, other shards {first.dtype} of {first.shape[1:]}\n  {AGAIN}"
            raise DataError(msg)
    values = Shards(list(arrays.values()))
    last = int(offsets[-1]) if offsets.ndim == 1 and len(offsets) else -1
    if offsets.dtype != "int64" or last != len(values):
        msg = f"{folder / name}.offsets.npy: its samples end at {last}, but there are {len(values)} values\n  {AGAIN}"
        raise DataError(msg)
    whole = values if len(arrays) > 1 else first
    return RaggedArray.of(widened(whole), offsets, pad, place=str(folder / name))


def _shards(folder: Path, name: str) -> list[Path]:
    """Return the files of the values, in their order.

    Raises:
        DataError: there is none, or one between others is missing.
    """
    numbers = re.compile(re.escape(name) + r"\.values-(\d{5})\.npy")
    found = sorted(path for path in folder.iterdir() if numbers.fullmatch(path.name)) if folder.is_dir() else []
    for number in range(max(1, len(found))):
        wanted = folder / f"{name}.values-{number:05d}.npy"
        if wanted not in found:
            msg = f"{wanted}: the shard is not there\n  {AGAIN}"
            raise DataError(msg)
    return found
