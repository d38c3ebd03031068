"""Which of many vectors are the nearest to each: exact, and two blocks of vectors in memory at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

_ROWS = 512
"""Vectors whose neighbours are looked for together."""
_COLUMNS = 4096
"""Vectors that they are held against at a time: 8 MiB of cosines."""
_TURNED = 0.999
"""Below this cosine two vectors are not the same but for rounding."""


def units(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Return vectors of length 1, float32, shape `(samples, width)`; further axes are joined."""
    import numpy as np

    flat = np.asarray(vectors, np.float32).reshape(len(vectors), -1)
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    made: NDArray[np.float32] = flat / np.maximum(lengths, np.finfo(np.float32).tiny)
    return made


def turned(own: NDArray[Any], other: NDArray[Any]) -> int:
    """Return how many vectors of `own` point elsewhere than those of `other`, both of the shape `(samples, ...)`."""
    import numpy as np

    cosine = np.einsum("nd,nd->n", units(own), units(other), dtype=np.float64)
    return int((cosine < _TURNED).sum())


def shared_neighbours(own: NDArray[Any], other: NDArray[Any], count: int) -> NDArray[np.float64]:
    """Return for each sample the part of its `count` nearest ones that are the same by both, shape `(samples,)`.

    Args:
        own: vectors, shape `(samples, ...)`; a memory map stays on disk.
        other: other vectors of the same samples, which may be longer or shorter.
        count: how many neighbours; of 0 all are the same.
    """
    import numpy as np

    found = np.ones(len(own))
    for rows in _blocks(len(own) if count > 0 else 0, _ROWS):
        near = [nearest(vectors, rows, count) for vectors in (own, other)]
        found[rows] = [len({*a} & {*b}) / count for a, b in zip(*(one.tolist() for one in near), strict=True)]
    return found


def nearest(vectors: NDArray[Any], rows: slice, count: int) -> NDArray[np.int64]:
    """Return the numbers of the `count` vectors nearest to each of `rows` by cosine, shape `(rows, count)`, nearest first.

    A sample is not its own neighbour; of two that are as near, the first counts.
    """
    import numpy as np

    mine = units(vectors[rows])
    alike = np.empty((len(mine), 0), np.float32)
    numbers = np.empty((len(mine), 0), np.int64)
    for columns in _blocks(len(vectors), _COLUMNS):
        further = mine @ units(vectors[columns]).T
        for row in range(max(rows.start, columns.start), min(rows.stop, columns.stop)):
            further[row - rows.start, row - columns.start] = -np.inf
        there = np.broadcast_to(np.arange(columns.start, columns.stop), further.shape)
        alike, numbers = np.concatenate([alike, further], axis=1), np.concatenate([numbers, there], axis=1)
        order = np.argsort(-alike, axis=1, kind="stable")[:, :count]
        alike, numbers = np.take_along_axis(alike, order, axis=1), np.take_along_axis(numbers, order, axis=1)
    return numbers


def _blocks(samples: int, rows: int) -> Iterator[slice]:
    for start in range(0, samples, rows):
        yield slice(start, min(start + rows, samples))
