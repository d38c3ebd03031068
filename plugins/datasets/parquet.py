"""The data set `parquet`: a table in Parquet or Arrow files, a sample a row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.artifacts import Splits
from modelyard.params import InputPath
from modelyard_plugins.support.data.arrow_columns import (
    SentColumn,
    cells,
    holds_numbers,
    is_list,
    numbers,
    some_numbers,
)
from modelyard_plugins.support.data.arrow_files import ArrowFiles
from modelyard_plugins.support.data.columns import Targets, targets_of
from modelyard_plugins.support.data.rows import range_of, take_rows
from modelyard_plugins.support.data.sent_column import both_ways, one_text
from modelyard_plugins.support.data.splitting import TestFraction, parts_of
from modelyard_plugins.support.data.table import Roles, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import CheckContext, Problem, StageContext
    from modelyard.hookspecs import Register


def parquet(
    context: StageContext,
    *,
    path: InputPath,
    target: tuple[str, ...] = (),
    as_text: bool = False,
    columns: tuple[str, ...] = (),
    sent: str | tuple[str, ...] = "",
    slices: tuple[str, ...] = (),
    test: InputPath | None = None,
    test_fraction: TestFraction = 0.2,
    stratify: bool = True,
    class_names: tuple[str, ...] = (),
    value_range: tuple[float, float] | None = None,
) -> Splits:
    """A table in Parquet or Arrow files, such as those of a Hugging Face data set; a row is a sample.

    Columns of numbers make a sample together, float32; or one column of lists does, which may be token ids or pixels; or
    one of texts or of files' bytes, which handlers decode. Files are read a block of rows at a time. A target that holds
    texts says classes, which are numbered in the order of their names; those of a Hugging Face data set have its names.

    Args:
        context: the seed decides how rows are split.
        path: a `.parquet`, `.arrow` or `.feather` file, or a folder of them.
        target: the columns to be learnt, or one column of lists; none where there is nothing to be learnt.
        as_text: leave the one target as the text that it is, for the task transcription.
        columns: those that make a sample, in this order; left out, all that are nothing else.
        sent: the column whose text or bytes are a sample, for handlers such as tokenize and image-decode, instead of
            columns; or a list of columns, each sent by its name, for table-encode: numbers, which may be missing, or texts.
        slices: columns that say what a sample is of, for `[tool.modelyard.evaluate] slices`.
        test: files of the same form with the rows for testing; left out, some of `path` are set apart.
        test_fraction: part of the rows that is set apart for testing.
        stratify: set apart that part of each class, where the target says classes or whole numbers; otherwise of all rows.
        class_names: the classes in the order of their numbers; left out, sorted.
        value_range: lowest and highest value that a sample may hold: the server refuses others; left out, 0 to 255 for
            uint8, of lists of other whole numbers those that the table holds, else any.
    """
    roles = Roles(columns, target, sent, slices)
    tables = [ArrowFiles(Path(one)) for one in (path, test) if one is not None]
    for files in tables:
        roles.check(files.schema.names, files.path)
    learnt = _learnt(context, tables, roles, class_names, as_text=as_text)
    rows = parts_of([one.rows for one in tables], learnt.arrays[0], test_fraction, context.seed, stratify=stratify)
    train_x, test_x = _samples(context, tables, roles, rows)
    train_y, test_y = learnt.of(rows)
    told = cells(tables[-1], slices)
    apart = {name: [told[name][row][1] for row in rows[1]] for name in slices}
    return Splits(
        train_x,
        train_y,
        test_x,
        test_y,
        learnt.names,
        range_of(value_range, train_x, test_x) if not sent else None,
        apart,
    )


def _samples(
    context: StageContext, tables: Sequence[ArrowFiles], roles: Roles, rows: Sequence[NDArray[np.int64]]
) -> tuple[Any, Any]:
    if roles.sent:
        train, test = (
            _sent(files, roles.sent, some) for files, some in zip((tables[0], tables[-1]), rows, strict=True)
        )
        return train, test
    arrays = [_array(context, files, roles.numeric(files.schema.names)) for files in tables]
    if len(arrays) == 2:
        return arrays[0], arrays[1]
    kept, apart = (take_rows(arrays[0], some, context.cache) for some in rows)
    return kept, apart


def _sent(files: ArrowFiles, names: str | tuple[str, ...], rows: NDArray[np.int64]) -> Any:
    if isinstance(names, str):
        return SentColumn(files, names, rows)
    return {
        name: some_numbers(files, name)[rows] if holds_numbers(files, name) else SentColumn(files, name, rows, gap="")
        for name in names
    }


def _learnt(
    context: StageContext, tables: Sequence[ArrowFiles], roles: Roles, class_names: tuple[str, ...], *, as_text: bool
) -> Targets:
    target = roles.target
    if len(target) == 1 and is_list(tables[0].schema.field(target[0]).type):
        return Targets([_array(context, files, target) for files in tables], class_names)
    texts = [Table(files.path, None, cells(files, target), "row") for files in tables]
    learnt = targets_of(texts, target, class_names, as_text=as_text)
    said = () if as_text or learnt.names or len(target) != 1 else tables[0].class_names(target[0])
    return Targets(learnt.arrays, said) if said else learnt


def _array(context: StageContext, files: ArrowFiles, names: Sequence[str]) -> NDArray[Any]:
    return numbers(files, names, context.cache, lambda done: context.progress(done, files.rows, unit="rows"))


def check(
    context: CheckContext,  # noqa: ARG001 - nothing else of the project decides this
    *,
    target: tuple[str, ...],
    as_text: bool,
    columns: tuple[str, ...],
    sent: str | tuple[str, ...],
    value_range: tuple[float, float] | None,
    **_: Any,
) -> Iterator[Problem]:
    """Yield what says in two ways what a sample is."""
    yield from both_ways(columns, sent, value_range)
    yield from one_text(target, as_text=as_text)


@hookimpl
def modelyard_register_datasets(register: Register) -> None:
    """Register the data set."""
    register("parquet", parquet, tools=("pyarrow", "numpy"), deterministic=True, check=check)
