"""Columns of lists of several lengths, a block of rows at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard_plugins.support.data.arrow_columns import check_filled, column_numbers, is_list, lists, stored_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from modelyard_plugins.support.data.arrow_files import ArrowFiles


def list_rows(files: ArrowFiles, name: str, rows: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
    """Yield the lists of the column `name`, each an array of its own length, shape `(length, ...)`; a block is in memory.

    Args:
        files: the table.
        name: the column.
        rows: the rows to yield, sorted.

    Raises:
        DataError: a list is missing, or holds something else than numbers, or lists of other lengths than the first.
    """
    import numpy as np

    tail: tuple[int, ...] | None = None
    for first, block in files.blocks([name]):
        column = stored_values(block.column(0))
        check_filled(files, column, name, first)
        values, ends = _flat(files, column, name, first, tail)
        tail = values.shape[1:]
        begin, end = np.searchsorted(rows, (first, first + len(block)))
        for row in (rows[begin:end] - first).tolist():
            yield values[ends[row] : ends[row + 1]]


def list_range(files: ArrowFiles, name: str) -> tuple[int, int] | None:
    """Return the lowest and the highest whole number in the lists of the column `name`; None: they hold others, or bytes."""
    import numpy as np

    ends: list[tuple[int, int]] = []
    for first, block in files.blocks([name]):
        values, _ = _flat(files, stored_values(block.column(0)), name, first, None)
        if values.dtype.kind not in "iu" or values.dtype == np.uint8:
            return None
        if values.size:
            ends.append((int(values.min()), int(values.max())))
    low, high = min((one for one, _ in ends), default=0), max((one for _, one in ends), default=0)
    return (low, high) if low < high else None


def _flat(
    files: ArrowFiles, column: Any, name: str, first: int, tail: tuple[int, ...] | None
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the values of a column of lists in a row, shape `(total, ...)`, and where each list begins and the last ends."""
    import numpy as np
    import pyarrow.compute as pc

    lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0), np.int64)
    inner = stored_values(pc.list_flatten(column))
    if not len(inner):
        dtype = np.float32
        return np.zeros((0, *(tail or ())), dtype), np.concatenate([[0], np.cumsum(lengths)])
    values = (
        lists(files, inner, name, first, tail) if is_list(inner.type) else column_numbers(files, inner, name, first)
    )
    return values, np.concatenate([[0], np.cumsum(lengths)])
