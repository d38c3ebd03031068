"""Make targets of the texts in a table's columns: numbers of classes, whole numbers, or measurements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.errors import DataError, listing
from modelyard_plugins.support.data.sent_column import texts_of
from modelyard_plugins.support.data.table import is_number, is_whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard_plugins.support.data.table import Cell, Table


class Targets(msgspec.Struct, frozen=True):
    """What is to be learnt.

    Attributes:
        arrays: one for each table: int64 or float32, shape `(rows,)`, or `(rows, columns)` of several; None: nothing.
        names: of the classes, or of the numbers of a target, in their order.
    """

    arrays: list[Any]
    names: tuple[str, ...]

    def of(self, rows: Sequence[NDArray[np.int64]]) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
        """Return what is to be learnt in those rows of the first table and in those of the last, which may be the first."""
        return tuple(
            None if y is None else y[some] for y, some in zip((self.arrays[0], self.arrays[-1]), rows, strict=True)
        )  # type: ignore[return-value]


def targets_of(
    tables: Sequence[Table], names: Sequence[str], class_names: Sequence[str], *, as_text: bool = False
) -> Targets:
    """Return the targets in the columns `names` of `tables`, made alike for all of them.

    Args:
        tables: the tables; each has the same target columns.
        names: the columns' names.
        class_names: the classes in the order of their numbers, where a column says classes; or the names of the numbers in it.
        as_text: leave the one column as it is: an array of objects.

    Raises:
        DataError: a value is missing, is no class, or is a text among several columns.
    """
    if not names:
        return Targets([None for _ in tables], tuple(class_names))
    if as_text:  # an empty one is a text, too: of a silence, for instance
        return Targets([texts_of(table, names[0]) for table in tables], ())
    for table in tables:
        _check_cells(table, names, bool, "which is nothing", "fill it in, or leave the row out")
    if len(names) > 1:
        return Targets([_matrix(table, names) for table in tables], tuple(names))
    texts = [text for table in tables for _, text in table.texts[names[0]]]
    whole = all(map(is_whole, texts))
    numbered = whole and not set(texts) & set(class_names)  # the names are those of the numbers
    if not numbered and (class_names or not all(map(is_number, texts))):
        classes = list(class_names) or sorted(set(texts))
        return Targets([_classes(table, classes, names) for table in tables], tuple(classes))
    if numbered and class_names:
        return Targets([_numbers(table.texts[names[0]], whole=True) for table in tables], tuple(class_names))
    return Targets([_numbers(table.texts[names[0]], whole=whole) for table in tables], () if whole else (names[0],))


def _check_cells(table: Table, names: Sequence[str], fits: Callable[[str], bool], why: str, advice: str) -> None:
    for name, column in ((name, table.texts[name]) for name in names):
        wrong = next(((line, text) for line, text in column if not fits(text)), None)
        if wrong:
            msg = f"{table.path}, {table.unit} {wrong[0]}: the target {name!r} is {wrong[1]!r:.60}, {why}\n  {advice}"
            raise DataError(msg)


def _classes(table: Table, classes: Sequence[str], names: Sequence[str]) -> NDArray[np.int64]:
    import numpy as np

    numbers = {text: number for number, text in enumerate(classes)}
    _check_cells(table, names, numbers.__contains__, "which is no class", f"class_names: {listing(classes)}")
    return np.array([numbers[text] for _, text in table.texts[names[0]]], np.int64)


def _numbers(column: Sequence[Cell], *, whole: bool) -> NDArray[Any]:
    import numpy as np

    return np.array([float(text) for _, text in column], np.int64 if whole else np.float32)


def _matrix(table: Table, names: Sequence[str]) -> NDArray[np.float32]:
    import numpy as np

    advice = "several targets are numbers; 0 and 1 say no and yes"
    _check_cells(table, names, is_number, "which is no number", advice)
    return np.stack([_numbers(column, whole=False) for column in map(table.texts.__getitem__, names)], axis=1)
