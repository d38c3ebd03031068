"""The data set `csv`: a table in a text file, a sample a row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from modelyard import hookimpl
from modelyard.artifacts import Splits
from modelyard.params import InputPath
from modelyard_plugins.support.data.columns import targets_of
from modelyard_plugins.support.data.rows import value_range_of
from modelyard_plugins.support.data.splitting import TestFraction, split_rows
from modelyard_plugins.support.data.table import read_table

if TYPE_CHECKING:
    from modelyard.contexts import StageContext
    from modelyard.hookspecs import Register

Delimiter = Annotated[str, Meta(min_length=1, max_length=1, description="one character")]


def csv(
    context: StageContext,
    *,
    path: InputPath,
    target: tuple[str, ...] = (),
    columns: tuple[str, ...] = (),
    test: InputPath | None = None,
    test_fraction: TestFraction = 0.2,
    stratify: bool = True,
    class_names: tuple[str, ...] = (),
    value_range: tuple[float, float] | None = None,
    delimiter: Delimiter = ",",
) -> Splits:
    """A table in a CSV file: its first line names the columns, each further row is a sample, float32.

    A target that holds texts says classes, which are numbered in the order of their names. Whole numbers stay whole,
    other numbers become float32. Several targets stand side by side; their columns are their names.

    Args:
        context: the seed decides how rows are split.
        path: the file, UTF-8.
        target: the columns to be learnt; none where there is nothing to be learnt.
        columns: those that make a sample, in this order, all of them numbers; left out, all but the target.
        test: a file of the same form with the rows for testing; left out, some of `path` are set apart.
        test_fraction: part of the rows that is set apart for testing.
        stratify: set apart that part of each class, where the target says classes or whole numbers; otherwise of all rows.
        class_names: the classes in the order of their numbers; left out, sorted.
        value_range: lowest and highest value that a sample may hold; left out, what the table holds.
        delimiter: what stands between two values.
    """
    tables = [read_table(Path(one), columns, target, delimiter) for one in (path, test) if one is not None]
    learnt = targets_of(tables, target, class_names)
    x, y = tables[0].samples, learnt.arrays[0]
    if test:
        parts = [(x, y), (tables[1].samples, learnt.arrays[1])]
    else:
        rows = split_rows(y, len(x), test_fraction, context.seed, stratify=stratify)
        parts = [(x[some], None if y is None else y[some]) for some in rows]
    (train_x, train_y), (test_x, test_y) = parts
    return Splits(train_x, train_y, test_x, test_y, learnt.names, value_range or value_range_of(train_x, test_x))


@hookimpl
def modelyard_register_datasets(register: Register) -> None:
    """Register the data set."""
    register("csv", csv, tools=("numpy",), deterministic=True)
