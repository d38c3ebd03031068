"""Samples of several lengths: all of their values in a row, and where each sample begins."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from modelyard.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

AGAIN = "build the stage that wrote it again"


class Block(NamedTuple):
    """Some samples in a row, as they lie on disk.

    Attributes:
        first: the number of the first.
        values: those of all of them, shape `(total, ...)`.
        lengths: how long each is, int64, shape `(n,)`.
    """

    first: int
    values: NDArray[Any]
    lengths: NDArray[np.int64]


class RaggedArray:
    """Samples of several lengths along their first axis, padded when their rows are looked at; to a reader an array.

    `column[rows]` is an array of the shape `(n, length, ...)`, where `length` is that of the longest of these rows, or of
    all where that is fixed; of one row, `column[3]`, it is the sample itself.

    Attributes:
        dtype: the type of the values.
        shape: `(N, longest, ...)`.
        pad: what follows a sample that is shorter.
        is_mask: whether it holds nothing but ones, which say where the samples of another column are.
    """

    def __init__(
        self,
        values: Any,
        begins: NDArray[np.int64],
        ends: NDArray[np.int64],
        pad: float,
        *,
        length: int | None = None,
        place: str = "samples",
    ) -> None:
        """Look at samples.

        Args:
            values: an array, or `modelyard.files.ragged_files.Shards`, shape `(total, ...)`.
            begins: where each sample begins, shape `(N,)`.
            ends: where it ends.
            pad: what follows a shorter one.
            length: how long all look; None: as long as the longest that is looked at.
            place: what messages call the column.
        """
        self._values, self._begins, self._ends, self.pad = values, begins, ends, pad
        self._length, self._place = length, place
        self.dtype = values.dtype
        self.is_mask = not any(getattr(values, "strides", (1,)))
        longest = int(self.lengths.max(initial=0)) if length is None else length
        self.shape: tuple[int, ...] = (len(begins), longest, *values.shape[1:])
        self.ndim = len(self.shape)

    @classmethod
    def of(
        cls, values: Any, offsets: NDArray[np.int64], pad: float, *, length: int | None = None, place: str = "samples"
    ) -> RaggedArray:
        """Return a column whose samples follow each other: `offsets`, shape `(N + 1,)`, say where each begins."""
        return cls(values, offsets[:-1], offsets[1:], pad, length=length, place=place)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """How long each sample is, shape `(N,)`."""
        return self._ends - self._begins

    @property
    def is_fixed(self) -> bool:
        """Whether all samples look alike, however long they are."""
        return self._length is not None

    @property
    def size(self) -> int:
        """How many numbers there are, with those that pad."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        """Return how many samples there are."""
        return self.shape[0]

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        """Return some samples, shape `(n, length, ...)`, or one.

        Raises:
            DataError: a sample lies where there are no values.
        """
        import numpy as np

        if isinstance(rows, int | np.integer):
            one: NDArray[Any] = self._padded([int(rows)])[0]
            return one
        return self._padded(self._numbers(rows))

    def take(self, rows: Any) -> RaggedArray:
        """Return a column of some of the samples, which copies none of them."""
        import numpy as np

        chosen = np.asarray(self._numbers(rows), np.int64)
        begins, ends = self._begins[chosen], self._ends[chosen]
        return RaggedArray(self._values, begins, ends, self.pad, length=self._length, place=self._place)

    def mask(self) -> RaggedArray:
        """Return a column of ones, int32: padded, it says where these samples are."""
        import numpy as np

        total = int(self._ends.max(initial=0))
        ones = np.broadcast_to(np.int32(1), (total,))
        return RaggedArray(ones, self._begins, self._ends, 0, length=self._length, place=self._place)

    def blocks(self, most_bytes: int) -> Iterator[Block]:
        """Yield all samples in their order, in blocks of about so many bytes, or of one sample if that is larger."""
        import numpy as np

        size = self.dtype.itemsize * math.prod(self.shape[2:])
        lengths = self.lengths
        ends = np.cumsum(lengths) * size
        first = 0
        while first < len(self):
            done = int(ends[first - 1]) if first else 0
            end = max(first + 1, int(np.searchsorted(ends, done + most_bytes, "right")))
            yield Block(first, self._joined(range(first, end)), lengths[first:end])
            first = end

    def _numbers(self, rows: Any) -> Sequence[int] | NDArray[Any]:
        import numpy as np

        if isinstance(rows, slice):
            return range(len(self))[rows]
        numbers = np.asarray(rows)
        return np.flatnonzero(numbers) if numbers.dtype.kind == "b" else numbers

    def _padded(self, rows: Sequence[int] | NDArray[Any]) -> NDArray[Any]:
        import numpy as np

        found = [self._row(int(row)) for row in rows]
        length = max(map(len, found), default=0) if self._length is None else self._length
        made = np.full((len(found), length, *self.shape[2:]), self.pad, self.dtype)
        for place, one in zip(made, found, strict=True):
            place[: len(one)] = one
        return made

    def _row(self, row: int) -> NDArray[Any]:
        begin, end = int(self._begins[row]), int(self._ends[row])
        if not 0 <= begin <= end <= len(self._values):
            msg = f"{self._place}: sample {row} is said to lie from {begin} to {end}, but there are {len(self._values)} values\n  {AGAIN}"
            raise DataError(msg)
        found: NDArray[Any] = self._values[begin:end]
        return found

    def _joined(self, rows: range) -> NDArray[Any]:
        import numpy as np

        inner = slice(rows.start, rows.stop - 1)
        if (
            isinstance(self._values, np.ndarray)
            and (self._begins[rows.start + 1 : rows.stop] == self._ends[inner]).all()
        ):
            return self._values[self._begins[rows.start] : self._ends[rows.stop - 1]]
        return np.concatenate([self._row(row) for row in rows])


def is_ragged(array: Any) -> bool:
    """Tell whether each sample of an array is of its own length, and those that are looked at together are padded."""
    return isinstance(array, RaggedArray) and not array.is_fixed
