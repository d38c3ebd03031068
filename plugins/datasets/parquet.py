"""The data set `parquet`: a table in Parquet or Arrow files, a sample a row."""

from __future__ import annotations

from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from modelyard import hookimpl
from modelyard.artifacts import Splits, Streams
from modelyard.contexts import Problem
from modelyard.errors import DataError
from modelyard.params import InputPath
from modelyard_plugins.support.data.arrow_columns import (
    SentColumn,
    cells,
    holds_numbers,
    is_list,
    numbers,
    some_numbers,
)
from modelyard_plugins.support.data.arrow_files import SUFFIXES, ArrowFiles
from modelyard_plugins.support.data.arrow_lists import list_range, list_rows
from modelyard_plugins.support.data.columns import (
    Target,
    Targets,
    all_columns,
    by_output,
    one_or_several,
    targets_of,
)
from modelyard_plugins.support.data.rows import range_of, take_rows
from modelyard_plugins.support.data.sent_column import both_ways, one_text
from modelyard_plugins.support.data.sets import files_of_sets
from modelyard_plugins.support.data.split_files import split_files
from modelyard_plugins.support.data.splitting import TestFraction, parts_of
from modelyard_plugins.support.data.table import Roles, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import CheckContext, StageContext
    from modelyard.hookspecs import Register


def parquet(
    context: StageContext,
    *,
    path: InputPath,
    target: Target = (),
    as_text: bool = False,
    columns: tuple[str, ...] = (),
    sent: str | tuple[str, ...] = "",
    slices: tuple[str, ...] = (),
    group: str = "",
    test: InputPath | None = None,
    test_sets: InputPath | None = None,
    pad: float | None = None,
    masks: bool = False,
    test_fraction: TestFraction = 0.2,
    stratify: bool = True,
    class_names: Target = (),
    value_range: tuple[float, float] | None = None,
) -> Splits | Streams:
    """A table in Parquet or Arrow files, such as those of a Hugging Face data set; a row is a sample.

    Columns of numbers make a sample together, float32; or one column of lists does, which may be token ids or pixels; or
    one of texts or of files' bytes, which handlers decode. Files are read a block of rows at a time. A target that holds
    texts says classes, which are numbered in the order of their names; those of a Hugging Face data set have its names.

    Args:
        context: the seed decides how rows are split.
        path: a `.parquet`, `.arrow` or `.feather` file, or a folder of them; or a folder of a data set that Hugging Face's
            `datasets` saved, with its splits `train` and `test`.
        target: the columns to be learnt, or one column of lists; none where there is nothing to be learnt; where several
            outputs are learnt, those of each: `{ kind = ["species"], place = ["x", "y"] }`.
        as_text: leave the one target as the text that it is, for the task transcription.
        columns: those that make a sample, in this order; left out, all that are nothing else.
        sent: the column whose text or bytes are a sample, for handlers such as tokenize and image-decode, instead of
            columns; or a list of columns, each sent by its name, for table-encode: numbers, which may be missing, or texts.
        slices: columns that say what a sample is of, for `[tool.modelyard.evaluate] slices`.
        group: the column that says which samples belong together, such as those of a patient: none is on both sides of the
            split into training and testing, nor of a fold of `[tool.modelyard.cross_validation]`.
        test: files of the same form with the rows for testing; left out, some of `path` are set apart, unless it has a test split.
        test_sets: a folder of further files of the same form, or folders of them, each a test set that is called as its file
            is without its ending.
        pad: for one column of lists of several lengths, such as token ids: what follows a shorter one in a batch; left out, all
            are of one length. A target of lists then has a label for each position.
        masks: whether the model gets an input `NAME_mask` beside such a column, 1 where a sample is.
        test_fraction: part of the rows that is set apart for testing.
        stratify: set apart that part of each class, where the target says classes or whole numbers; otherwise of all rows.
        class_names: the classes in the order of their numbers; left out, sorted. Of several outputs, a table of these.
        value_range: lowest and highest value that a sample may hold: the server refuses others; left out, 0 to 255 for
            uint8, of lists of other whole numbers those that the table holds, else any.
    """
    roles = Roles(columns, all_columns(target), sent, slices, group)
    tables = _tables(Path(path), test)
    places = files_of_sets(Path(test_sets), SUFFIXES, folders=True) if test_sets is not None else {}
    sets = {name: ArrowFiles(place) for name, place in places.items()}
    every = [*tables, *sets.values()]
    for files in every:
        roles.check(files.schema.names, files.path)
    if pad is not None:
        assert not isinstance(class_names, dict), "`one_or_several` told of it"
        splits = _of_several_lengths(context, tables, roles, class_names, test_fraction, stratify=stratify)
        held = value_range or _held_range(tables, _only_list(tables[0], roles), pad)
        return Streams(splits.train, splits.test, splits.class_names, held, pad=pad, masks=masks, ragged=True)
    learnt = by_output(target, class_names, lambda names, said: _learnt(context, every, names, said, as_text=as_text))
    groups = [_texts(files, [group])[group] for files in tables] if group else []
    lengths = [one.rows for one in tables]
    rows = parts_of(lengths, learnt.classes, test_fraction, context.seed, stratify=stratify, groups=groups)
    train_x, test_x = _samples(context, tables, roles, rows)
    train_y, test_y = learnt.of(rows, len(tables))
    further = {name: _all(context, files, roles) for name, files in sets.items()}
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
        {name: (x, y) for (name, x), y in zip(further.items(), learnt.arrays[len(tables) :], strict=True)},
        [groups[0][row] for row in rows[0]] if group else (),
        {name: _texts(files, slices) for name, files in sets.items() if slices},
    )


def _texts(files: ArrowFiles, names: Sequence[str]) -> dict[str, list[str]]:
    """Return what columns hold, as texts, in the order of the rows."""
    return {name: [text for _, text in found] for name, found in cells(files, names).items()}


def _all(context: StageContext, files: ArrowFiles, roles: Roles) -> Any:
    """Return all samples of a table."""
    import numpy as np

    if roles.sent:
        return _sent(files, roles.sent, np.arange(files.rows))
    return _array(context, files, roles.numeric(files.schema.names))


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


def _tables(path: Path, test: str | None) -> list[ArrowFiles]:
    """Return the table, or that of the training and that of the test split."""
    both = split_files(path, SUFFIXES) if test is None else None
    if both is not None:
        return [ArrowFiles(path, files) for files in both]
    return [ArrowFiles(Path(one)) for one in (path, test) if one is not None]


def _of_several_lengths(
    context: StageContext,
    tables: Sequence[ArrowFiles],
    roles: Roles,
    class_names: tuple[str, ...],
    fraction: float,
    *,
    stratify: bool,
) -> Streams:
    """Return samples that are the lists of one column, each of its own length; so may their labels be."""
    name, labelled = _only_list(tables[0], roles), _has_lists(tables[0], roles.target)
    learnt = (
        Targets([None for _ in tables], class_names)
        if labelled
        else _learnt(context, tables, roles.target, class_names, as_text=False)
    )
    rows = parts_of([one.rows for one in tables], learnt.arrays[0], fraction, context.seed, stratify=stratify)
    pairs = []
    for files, some, y in zip((tables[0], tables[-1]), rows, learnt.of(rows, len(tables)), strict=True):
        labels = list_rows(files, roles.target[0], some) if labelled else repeat(None) if y is None else y
        pairs.append(zip(list_rows(files, name, some), labels, strict=False))
    return Streams(pairs[0], pairs[1], learnt.names)


def _held_range(tables: Sequence[ArrowFiles], name: str, pad: float) -> tuple[float, float] | Literal["auto"]:
    """Return the lowest and highest of whole numbers, and of what pads them; of others `auto`."""
    ends = [list_range(files, name) for files in tables]
    known = [one for one in ends if one is not None]
    if len(known) < len(ends):
        return "auto"
    return min(pad, *(low for low, _ in known)), max(pad, *(high for _, high in known))


def _has_lists(files: ArrowFiles, target: Sequence[str]) -> bool:
    return len(target) == 1 and is_list(files.schema.field(target[0]).type)


def _only_list(files: ArrowFiles, roles: Roles) -> str:
    """Return the name of the one column of lists.

    Raises:
        DataError: there are several columns, or it holds something else.
    """
    names = roles.numeric(files.schema.names)
    if len(names) == 1 and is_list(files.schema.field(names[0]).type):
        return names[0]
    msg = f"{files.path}: pad is for one column of lists, but samples are the columns {', '.join(map(repr, names))}\n  name the one in columns, or leave pad out"
    raise DataError(msg)


def _sent(files: ArrowFiles, names: str | tuple[str, ...], rows: NDArray[np.int64]) -> Any:
    if isinstance(names, str):
        return SentColumn(files, names, rows)
    return {
        name: some_numbers(files, name)[rows] if holds_numbers(files, name) else SentColumn(files, name, rows, gap="")
        for name in names
    }


def _learnt(
    context: StageContext,
    tables: Sequence[ArrowFiles],
    target: tuple[str, ...],
    class_names: tuple[str, ...],
    *,
    as_text: bool,
) -> Targets:
    if len(target) == 1 and is_list(tables[0].schema.field(target[0]).type):
        return Targets([_array(context, files, target) for files in tables], class_names)
    texts = [Table(files.path, None, cells(files, target), "row") for files in tables]
    learnt = targets_of(texts, target, class_names, as_text=as_text)
    said = () if as_text or learnt.names or len(target) != 1 else tables[0].class_names(target[0])
    return Targets(learnt.arrays, said) if said else learnt


def _array(context: StageContext, files: ArrowFiles, names: Sequence[str]) -> NDArray[Any]:
    return numbers(files, names, context.cache, lambda done: context.progress(done, files.rows, unit="rows"))


def check(
    context: CheckContext,
    *,
    target: Target,
    class_names: Target,
    as_text: bool,
    columns: tuple[str, ...],
    sent: str | tuple[str, ...],
    value_range: tuple[float, float] | None,
    pad: float | None,
    masks: bool,
    slices: tuple[str, ...],
    group: str,
    test_sets: str | None,
    **_: Any,
) -> Iterator[Problem]:
    """Yield what says in two ways what a sample is, or by half."""
    if masks and pad is None:
        yield Problem("masks", "pad is not set, so that all samples are of one length", "set pad, or remove masks")
    several = {
        "sent": sent,
        "slices": slices,
        "group": group,
        "as_text": as_text,
        "test_sets": test_sets,
        "outputs": context.outputs,
    }
    for key, value in several.items() if pad is not None else ():
        if value:
            yield Problem("pad", f"it is for lists of several lengths, which go without {key}", f"remove pad or {key}")
    yield from both_ways(columns, sent, value_range)
    yield from one_or_several(context, target, class_names, as_text=as_text)
    yield from one_text(all_columns(target), as_text=as_text)


@hookimpl
def modelyard_register_datasets(register: Register) -> None:
    """Register the data set."""
    register("parquet", parquet, tools=("pyarrow", "numpy"), deterministic=True, check=check)
