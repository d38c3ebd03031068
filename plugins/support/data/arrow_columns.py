"""What the columns of Parquet and Arrow files hold: numbers as arrays on disk, texts, and bytes that are read when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError
from modelyard_plugins.support.data.rows import on_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from modelyard_plugins.support.data.arrow_files import ArrowFiles
    from modelyard_plugins.support.data.table import Cell


def is_list(kind: Any) -> bool:
    """Tell whether values of pyarrow's type `kind` are lists, each of which is an array."""
    from pyarrow import types

    return any(ask(_stored(kind)) for ask in (types.is_list, types.is_large_list, types.is_fixed_size_list))


def stored_values(column: Any) -> Any:
    """Return how the values of a column are stored whose type an extension gives another meaning."""
    return getattr(column, "storage", column)


def numbers(files: ArrowFiles, names: Sequence[str], folder: Path, told: Callable[[int], None]) -> NDArray[Any]:
    """Return the columns `names` as one array in a file in `folder`; a block of rows at a time is in memory.

    Args:
        files: the table.
        names: columns of numbers, which become float32 side by side, shape `(rows, columns)`; or one column of lists of one
            shape, shape `(rows, ...)`, whose whole numbers stay whole.
        folder: for the array.
        told: called with the number of rows that are done.

    Raises:
        DataError: a value is missing or no number, or the lists are of several lengths.
    """
    taken: NDArray[Any] | None = None
    for first, block in files.blocks(names):
        if len(names) == 1 and is_list(block.schema.field(0).type):
            part = lists(files, block.column(0), names[0], first, None if taken is None else taken.shape[1:])
        else:
            part = _side_by_side(files, block, names, first)
        if taken is None:
            taken = on_disk(folder, part.dtype, (files.rows, *part.shape[1:]))
        taken[first : first + len(part)] = part
        told(first + len(part))
    assert taken is not None
    return taken


def holds_numbers(files: ArrowFiles, name: str) -> bool:
    """Tell whether the column `name` holds numbers, or truth values."""
    return _is_number(files.schema.field(name).type)


def some_numbers(files: ArrowFiles, name: str) -> NDArray[Any]:
    """Return the column `name`, shape `(rows,)`: int64 where all are whole and none is missing, else float32 with NaN for gaps."""
    import numpy as np

    parts = [np.asarray(block.column(0).to_numpy(zero_copy_only=False)) for _, block in files.blocks([name])]
    is_whole = all(part.dtype.kind in "biu" for part in parts)
    return np.concatenate([part.astype(np.int64 if is_whole else np.float32) for part in parts])


def cells(files: ArrowFiles, names: Sequence[str]) -> dict[str, list[Cell]]:
    """Return the values of the columns `names` as texts, each with its row, as a table in a text file has them.

    Raises:
        DataError: a column holds neither texts nor numbers.
    """
    for name in names:
        _check_plain(files, name)
    found: dict[str, list[Cell]] = {name: [] for name in names}
    for first, block in files.blocks(names):
        for name, taken in found.items():
            values = enumerate(block.column(name).to_pylist(), first)
            taken.extend((row, _text(value)) for row, value in values)
    return found


class SentColumn:
    """Texts or bytes of a column, of which each is read when it is asked for.

    Rows are asked for in their order, mostly: the block that holds the last one is kept, and what follows is read on from it.
    """

    def __init__(
        self, files: ArrowFiles, name: str, rows: Sequence[int] | NDArray[np.int64], *, gap: str | None = None
    ) -> None:
        """Take the rows `rows` of the column `name`.

        Args:
            files: the table.
            name: the column.
            rows: their numbers, in the order of the samples.
            gap: what stands for one that is missing; None: none may be.

        Raises:
            DataError: the column holds neither texts nor bytes.
        """
        self._files, self._name, self._rows, self._gap = files, name, rows, gap
        self._blocks: Iterator[tuple[int, Any]] = iter(())
        self._first = 0
        self._block: Any = None
        self._value = _reader(files, name)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> str | bytes:
        """Return the text or the bytes of one row.

        Raises:
            DataError: there are none.
        """
        row = int(self._rows[number])
        value = self._value(self._holding(row).column(0)[row - self._first])
        value = self._gap if value is None else value
        if value is None:
            msg = f"{self.place_of(number)}: the column {self._name!r} is empty\n  fill it in, or leave the row out"
            raise DataError(msg)
        return value

    def place_of(self, number: int) -> str:
        """Return what messages call a sample."""
        return f"{self._files.path}, row {self._rows[number]}"

    def _holding(self, row: int) -> Any:
        if self._block is None or row < self._first:
            self._blocks = self._files.blocks([self._name])
            self._first, self._block = next(self._blocks)
        while row >= self._first + len(self._block):
            self._first, self._block = next(self._blocks)
        return self._block


def _reader(files: ArrowFiles, name: str) -> Callable[[Any], str | bytes | None]:
    """Return what makes a text or bytes of a value; a picture of Hugging Face's `datasets` is a struct with its `bytes`."""
    from pyarrow import types

    kind = _stored(files.schema.field(name).type)
    if types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        return lambda value: (value.as_py() or {}).get("bytes")
    if any(ask(kind) for ask in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)):
        return lambda value: value.as_py()
    msg = f"{files.path}: the column {name!r} holds {kind}, neither texts nor the bytes of files\n  name columns of numbers in columns"
    raise DataError(msg)


def _stored(kind: Any) -> Any:
    """Return how values are stored whose type an extension gives another meaning."""
    return getattr(kind, "storage_type", kind)


def _check_plain(files: ArrowFiles, name: str) -> None:
    from pyarrow import types

    kind = files.schema.field(name).type
    if types.is_dictionary(kind):
        kind = kind.value_type
    plain = (types.is_string, types.is_large_string, types.is_integer, types.is_floating, types.is_boolean)
    if not any(ask(kind) for ask in plain):
        msg = f"{files.path}: the column {name!r} holds {kind}\n  allowed: texts, whole numbers, other numbers, truth values"
        raise DataError(msg)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, bool) else str(value)


def lists(files: ArrowFiles, column: Any, name: str, first: int, wanted: tuple[int, ...] | None) -> NDArray[Any]:
    """Return a column of lists, or of lists of lists ..., as an array, shape `(rows, ...)`."""
    import pyarrow.compute as pc

    column = stored_values(column)
    shape: list[int] = []
    rows = len(column)
    while is_list(column.type):
        check_filled(files, column, name, first)
        lengths = pc.list_value_length(column)
        length = lengths[0].as_py() if wanted is None or len(wanted) <= len(shape) else wanted[len(shape)]
        other = pc.index(pc.equal(lengths, length), value=False).as_py()
        if other >= 0:
            row = first + other * rows // len(column)
            msg = f"{files.path}, row {row}: {name!r} is a list of {lengths[other]}, others of {length}\n  a sample has one shape: cut or fill the lists; or set pad, for instance pad = 0, which keeps several lengths"
            raise DataError(msg)
        shape.append(length)
        column = pc.list_flatten(column)
    return column_numbers(files, column, name, first).reshape(rows, *shape)


def _side_by_side(files: ArrowFiles, block: Any, names: Sequence[str], first: int) -> NDArray[np.float32]:
    import numpy as np

    return np.stack(
        [column_numbers(files, block.column(name), name, first).astype(np.float32) for name in names], axis=1
    )


def column_numbers(files: ArrowFiles, column: Any, name: str, first: int) -> NDArray[Any]:
    """Return a column of numbers as float32, or as the whole numbers that a data set may hold."""
    import numpy as np

    if not _is_number(column.type):
        msg = f"{files.path}: the column {name!r} holds {column.type}, no numbers\n  name columns of numbers in columns; a column of texts in text, or in slices"
        raise DataError(msg)
    check_filled(files, column, name, first)
    found = np.asarray(column.to_numpy(zero_copy_only=False))
    if found.dtype.kind in "fO":  # decimals are objects
        return _finite(files, found.astype(np.float32), name, first)
    return found if found.dtype in (np.uint8, np.int32, np.int64) else found.astype(np.int64)


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    return any(ask(kind) for ask in (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal))


def _finite(files: ArrowFiles, found: NDArray[np.float32], name: str, first: int) -> NDArray[np.float32]:
    import numpy as np

    wrong = np.flatnonzero(~np.isfinite(found))
    if len(wrong):
        msg = f"{files.path}, about row {first + int(wrong[0])}: the column {name!r} holds {found[wrong[0]]}, which is no number that a float32 can be\n  mend the row, or leave it out"
        raise DataError(msg)
    return found


def check_filled(files: ArrowFiles, column: Any, name: str, first: int) -> None:
    """Check that no value of a column is missing; `first` is the number of its first row.

    Raises:
        DataError: one is.
    """
    import pyarrow.compute as pc

    if column.null_count:
        row = first + pc.index(pc.is_null(column), value=True).as_py()
        msg = f"{files.path}, about row {row}: the column {name!r} is empty\n  fill it in, or leave the row out"
        raise DataError(msg)
