"""The data set `csv`: a table in a text file, a sample a row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from modelyard import hookimpl
from modelyard.artifacts import Splits
from modelyard.contexts import Problem
from modelyard.params import InputPath
from modelyard_plugins.support.data.columns import Target, all_columns, by_output, one_or_several, targets_of
from modelyard_plugins.support.data.sent_column import (
    both_ways,
    cells_of,
    files_of,
    named_files,
    one_text,
    texts_of,
)
from modelyard_plugins.support.data.sets import files_of_sets
from modelyard_plugins.support.data.splitting import TestFraction, parts_of
from modelyard_plugins.support.data.table import Roles, Table, read_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import CheckContext, StageContext
    from modelyard.hookspecs import Register

Delimiter = Annotated[str, Meta(min_length=1, max_length=1, description="one character")]


def csv(
    context: StageContext,
    *,
    path: InputPath,
    target: Target = (),
    as_text: bool = False,
    columns: tuple[str, ...] = (),
    sent: str | tuple[str, ...] = "",
    folder: InputPath | None = None,
    files: tuple[str, ...] = (),
    slices: tuple[str, ...] = (),
    group: str = "",
    test: InputPath | None = None,
    test_sets: InputPath | None = None,
    test_fraction: TestFraction = 0.2,
    stratify: bool = True,
    class_names: Target = (),
    value_range: tuple[float, float] | None = None,
    delimiter: Delimiter = ",",
) -> Splits:
    """A table in a CSV file: its first line names the columns, each further row is a sample.

    Columns of numbers make a sample together, float32; or one column is a text, or the name of a file, which handlers
    decode. A target that holds texts says classes, which are numbered in the order of their names. Whole numbers stay
    whole, other numbers become float32. Several targets stand side by side; their columns are their names.

    Args:
        context: the seed decides how rows are split.
        path: the file, UTF-8.
        target: the columns to be learnt; none where there is nothing to be learnt; where several outputs are learnt, those
            of each: `{ kind = ["species"], place = ["x", "y"] }`.
        as_text: leave the one target as the text that it is, for the task transcription.
        columns: those that make a sample, in this order, all of them numbers; left out, all that are nothing else.
        sent: the column whose text is a sample as clients send it, for handlers such as tokenize, instead of columns; or a
            list of columns, each sent by its name, for table-encode: numbers, where all are, and may be missing, or texts.
        folder: the folder of the files, such as pictures, that the column sent names: their bytes are samples then.
        files: where sent is a list, the columns of it that name files in folder: a picture beside a text, or a few numbers.
        slices: columns that say what a sample is of, for `[tool.modelyard.evaluate] slices`.
        group: the column that says which samples belong together, such as those of a patient: none is on both sides of the
            split into training and testing, nor of a fold of `[tool.modelyard.cross_validation]`.
        test: a file of the same form with the rows for testing; left out, some of `path` are set apart.
        test_sets: a folder of further files of the same form, each a test set that is called as its file is without `.csv`.
        test_fraction: part of the rows that is set apart for testing.
        stratify: set apart that part of each class, where the target says classes or whole numbers; otherwise of all rows.
        class_names: the classes in the order of their numbers; left out, sorted. Of several outputs, a table of these.
        value_range: lowest and highest value that a sample may hold: the server refuses others; left out, any.
        delimiter: what stands between two values.
    """
    roles = Roles(columns, all_columns(target), sent, slices, group)
    tables = [read_table(Path(one), roles, delimiter) for one in (path, test) if one is not None]
    of_sets = files_of_sets(Path(test_sets), {".csv"}) if test_sets is not None else {}
    sets = {name: read_table(file, roles, delimiter) for name, file in of_sets.items()}
    every = [*tables, *sets.values()]
    learnt = by_output(target, class_names, lambda names, classes: targets_of(every, names, classes, as_text=as_text))
    samples = [_samples(table, roles, folder, files) for table in every]
    lengths = [table.rows for table in tables]
    groups = [[text for _, text in table.texts[group]] for table in tables] if group else []
    rows = parts_of(lengths, learnt.classes, test_fraction, context.seed, stratify=stratify, groups=groups)
    pairs = zip((samples[0], samples[len(tables) - 1]), rows, strict=True)
    train_x, test_x = (_of(some, part) for some, part in pairs)
    train_y, test_y = learnt.of(rows, len(tables))
    told_apart = {name: texts_of(tables[-1], name)[rows[1]] for name in slices}
    sets_apart = {name: {one: texts_of(table, one) for one in slices} for name, table in sets.items() if slices}
    further = zip(sets, samples[len(tables) :], learnt.arrays[len(tables) :], strict=True)
    return Splits(
        train_x,
        train_y,
        test_x,
        test_y,
        learnt.names,
        value_range or "auto",
        told_apart,
        {name: (x, y) for name, x, y in further},
        [groups[0][row] for row in rows[0]] if group else (),
        sets_apart,
    )


def _samples(
    table: Table, roles: Roles, folder: str | None, files: tuple[str, ...]
) -> NDArray[Any] | dict[str, NDArray[Any]]:
    if isinstance(roles.sent, tuple):
        there = Path(folder or "")
        return {name: files_of(table, name, there) if name in files else cells_of(table, name) for name in roles.sent}
    if folder is not None:
        return files_of(table, roles.sent, Path(folder))
    return texts_of(table, roles.sent) if roles.sent else table.samples


def _of(samples: NDArray[Any] | dict[str, NDArray[Any]], rows: NDArray[np.int64]) -> Any:
    if isinstance(samples, dict):
        return {name: column[rows] for name, column in samples.items()}
    return samples[rows]


def check(
    context: CheckContext,
    *,
    target: Target,
    class_names: Target,
    as_text: bool,
    columns: tuple[str, ...],
    sent: str | tuple[str, ...],
    folder: str | None,
    files: tuple[str, ...],
    value_range: tuple[float, float] | None,
    **_: Any,
) -> Iterator[Problem]:
    """Yield what says in two ways what a sample is, or by half."""
    yield from both_ways(columns, sent, value_range)
    yield from one_or_several(context, target, class_names, as_text=as_text)
    yield from one_text(all_columns(target), as_text=as_text)
    yield from named_files(sent, folder, files)


@hookimpl
def modelyard_register_datasets(register: Register) -> None:
    """Register the data set."""
    register("csv", csv, tools=("numpy",), deterministic=True, check=check)
