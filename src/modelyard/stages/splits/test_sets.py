"""Further test sets of a data set: each is checked as the test split is, and written beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from modelyard.errors import DataError
from modelyard.stages.several import with_joined_labels
from modelyard.stages.splits.axes import following
from modelyard.stages.splits.checks import check_splits, sample_dtype, stored_dtype
from modelyard.stages.splits.files import write_column, write_labels
from modelyard.stages.splits.sent_files import write_sent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy as np

    from modelyard.artifacts import SplitFacts, Splits
    from modelyard.serving.handlers import Chain
    from modelyard.stages.splits.column import Column
    from modelyard.stages.splits.sent import Preparing, Sent
    from modelyard.task import Task
    from modelyard.tensors import InputFacts, OutputFacts

_NAME = r"[a-z][a-z0-9_]{0,30}"


class Further(NamedTuple):
    """A further test set, which is sound.

    Attributes:
        columns: its samples, beside those of the training split.
        labels: its labels, as the data set gives them; None: there are none.
        sent: what clients send, where handlers make the samples of it.
    """

    columns: list[Column]
    labels: Any
    sent: Sent | None


def open_test_sets(splits: Splits, preparing: Preparing | None, task: Task, wanted: OutputFacts) -> dict[str, Further]:
    """Return the further test sets of a data set by name, checked.

    Args:
        splits: what the data set gives.
        preparing: what handlers before the model make of splits, if there are any.
        task: what is learnt.
        wanted: what it wants of a model by the test split.

    Raises:
        DataError: one is not like the training split, or its labels are none; the message names the set.
    """
    return {
        name: _opened(name, replace(splits, test_x=x, test_y=y, slices={}), preparing, task, wanted)
        for name, (x, y) in _pairs(splits.test_sets)
    }


def _pairs(sets: Any) -> Iterator[tuple[str, tuple[Any, Any]]]:
    if not isinstance(sets, Mapping):
        msg = (
            f"test_sets: is a {type(sets).__name__}\n  give a dict with the samples and labels of each set by its name"
        )
        raise DataError(msg)
    for name, pair in sets.items():
        if not isinstance(name, str) or not re.fullmatch(_NAME, name) or name in ("train", "test"):
            msg = f"test_sets: {name!r} is not allowed as a name\n  allowed: a lower-case letter, then letters, digits and underscores, 31 at most, but for train and test"
            raise DataError(msg)
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            msg = f"test_sets[{name!r}]: is a {type(pair).__name__}\n  give samples and labels, (x, y), as test_x and test_y are"
            raise DataError(msg)
        yield name, (pair[0], pair[1])


def _opened(name: str, splits: Splits, preparing: Preparing | None, task: Task, wanted: OutputFacts) -> Further:
    sent = None
    try:
        if preparing is not None:
            splits, sent = preparing(splits)
        splits = with_joined_labels(splits, task)
        columns, found = check_splits(splits), task.check(splits)
        if task.follows:
            found = following(found, columns)
    except DataError as exc:
        raise _in(name, exc) from exc
    if found != wanted:
        msg = f"test_sets[{name!r}]: its answers are {found}, those of the test split {wanted}\n  give both the same labels"
        raise DataError(msg)
    return Further(columns, splits.test_y, sent)


def write_test_set(
    name: str,
    one: Further,
    out: Path,
    task: Task,
    wanted: OutputFacts,
    inputs: Sequence[InputFacts],
    chain: Chain | None,
    written: Callable[[int, str], None],
) -> SplitFacts:
    """Write a test set to the folder `out`, and return how many samples it has.

    Args:
        name: what it is called.
        one: the set.
        out: a folder that exists.
        task: what is learnt.
        wanted: what it wants of a model.
        inputs: what is known of the samples of the training split.
        chain: the handlers before the model, if there are any.
        written: told how many samples are written, and of which set.

    Raises:
        DataError: a value is not allowed, or the samples are of another type than the training split's.
    """
    for column, known in zip(one.columns, inputs, strict=True):
        for samples in _written(name, column, known, out):
            written(samples, name)
    facts = write_labels(out, name, len(one.columns[0].test), one.labels, task, wanted)
    if one.sent is not None and chain is not None:
        write_sent(one.sent, out, inputs, chain, name)
    return facts


def _written(name: str, column: Column, known: InputFacts, out: Path) -> Iterator[int]:
    """Write the samples of a column, and yield how many there are in each block."""
    try:
        for samples, _ in write_column(out, name, column, _dtype(column, known), "test"):
            yield samples
    except DataError as exc:
        raise _in(name, exc) from exc


def _dtype(column: Column, known: InputFacts) -> np.dtype[Any]:
    dtype = stored_dtype(column)
    if sample_dtype(dtype) == known.dtype:
        return dtype
    msg = f"{column.place('test')}: samples are {sample_dtype(dtype)}, but those of the training split {known.dtype}\n  give both the same type"
    raise DataError(msg)


def _in(name: str, exc: DataError) -> DataError:
    return DataError(f"test_sets[{name!r}]: {exc}")
