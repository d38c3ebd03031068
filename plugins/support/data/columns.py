"""Make targets of the texts in a table's columns: numbers of classes, whole numbers, or measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.contexts import Problem
from modelyard.errors import DataError, did_you_mean, listing
from modelyard_plugins.support.data.sent_column import texts_of
from modelyard_plugins.support.data.table import is_number, is_whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import CheckContext
    from modelyard_plugins.support.data.table import Cell, Table


class Targets(msgspec.Struct, frozen=True):
    """What is to be learnt.

    Attributes:
        arrays: one for each table: int64 or float32, shape `(rows,)`, or `(rows, columns)` of several; None: nothing. Where
            several outputs are learnt, a dict of such arrays by the outputs' names.
        names: of the classes, or of the numbers of a target, in their order; of several outputs a dict of these.
    """

    arrays: list[Any]
    names: Any

    def of(self, rows: Sequence[NDArray[np.int64]], tables: int) -> tuple[Any, Any]:
        """Return what is to be learnt in those rows of the first of so many tables and in those of the last, which may be the first."""
        pairs = zip((self.arrays[0], self.arrays[tables - 1]), rows, strict=True)
        first, last = (_some(y, some) for y, some in pairs)
        return first, last

    @property
    def each(self) -> tuple[Any, ...]:
        """What is learnt in the first table: an array, or one for each of several outputs."""
        y = self.arrays[0]
        return tuple(y.values()) if isinstance(y, dict) else (y,)

    @property
    def classes(self) -> Any:
        """What is learnt in the first table, to be split by; of several outputs, that of the first one that may say classes."""
        if not isinstance(self.arrays[0], dict):
            return self.arrays[0]
        return next((one for one in self.each if one.ndim == 1 and one.dtype.kind in "iu"), None)


Target = tuple[str, ...] | dict[str, tuple[str, ...]]
"""The columns to be learnt; where several outputs are learnt, those of each."""


def _some(y: Any, rows: NDArray[np.int64]) -> Any:
    if isinstance(y, dict):
        return {name: one[rows] for name, one in y.items()}
    return None if y is None else y[rows]


def all_columns(target: Target) -> tuple[str, ...]:
    """Return every column that is learnt, once."""
    each = target.values() if isinstance(target, dict) else (target,)
    return tuple(dict.fromkeys(name for names in each for name in names))


def by_output(
    target: Target, class_names: Target, one: Callable[[tuple[str, ...], tuple[str, ...]], Targets]
) -> Targets:
    """Return what is learnt, of several outputs side by side.

    Args:
        target: the columns.
        class_names: the classes in the order of their numbers; of several outputs, of those that have some.
        one: gives what is learnt in some columns, with the names of their classes.
    """
    if not isinstance(target, dict):
        assert not isinstance(class_names, dict), "`one_or_several` told of it"
        return one(target, class_names)
    named = dict(class_names) if isinstance(class_names, dict) else {}
    found = {output: one(columns, named.get(output, ())) for output, columns in target.items()}
    tables = range(len(next(iter(found.values())).arrays))
    arrays = [{output: each.arrays[table] for output, each in found.items()} for table in tables]
    return Targets(arrays, {output: each.names for output, each in found.items() if each.names})


def names_by_output(class_names: Target, outputs: Sequence[str]) -> Iterator[Problem]:
    """Yield that names are given for one output where there are `outputs`, or the other way round, or for one that there is not."""
    if isinstance(class_names, dict):
        if not outputs:
            yield Problem("class_names", "the project learns one output", "write a list of names")
        yield from _unknown("class_names", class_names, outputs)
    elif class_names and outputs:
        yield Problem("class_names", "it is one list for several outputs", "name the classes of each: { NAME = [...] }")


def _unknown(key: str, names: Iterable[str], outputs: Sequence[str]) -> Iterator[Problem]:
    for name in names if outputs else ():
        if name not in outputs:
            yield Problem(
                key, f"there is no output {name!r}{did_you_mean(name, outputs)}", f"allowed: {listing(outputs)}"
            )


def one_or_several(
    context: CheckContext, target: Target, class_names: Target, *, as_text: bool = False
) -> Iterator[Problem]:
    """Yield that columns are named for one output where several count, or the other way round, or for one that there is not."""
    outputs = context.outputs
    if not isinstance(target, dict):
        if target and outputs:
            said = ", ".join(f"{name} = [...]" for name in outputs)
            yield Problem("target", "the project learns several outputs", f"name the columns of each: {{ {said} }}")
        if not outputs:
            yield from names_by_output(class_names, outputs)
        return
    if not outputs:
        yield Problem(
            "target", "the project learns one output", "write a list of columns, or [tool.modelyard.task.outputs.NAME]"
        )
    yield from _unknown("target", target, outputs)
    yield from names_by_output(class_names, tuple(target))
    for name, columns in target.items():
        if not columns:
            yield Problem("target", f"no column is named for {name!r}", "leave an output out that needs no labels")
    if as_text:
        yield Problem("as_text", "texts are learnt alone", "remove as_text")


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
