"""Columns whose samples are each of their own length: which of them vary together, and what that axis is called."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.errors import DataError
from modelyard.files.ragged import is_ragged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelyard.stages.splits.column import Column
    from modelyard.tensors import OutputFacts

_ONLY = "length"
"""What the axis is called where there is one; of several each has the name of its first column before it."""


def with_axes(columns: Sequence[Column]) -> list[Column]:
    """Return columns that know along which axis their samples vary.

    Raises:
        DataError: samples of one split vary, and those of the other do not; or one holds nothing.
    """
    groups: list[Column] = []
    firsts = {column.name: _first_alike(column, groups) for column in columns if _varies(column)}
    names = {one.name: _ONLY if len(groups) == 1 else f"{one.name}_{_ONLY}" for one in groups}
    return [
        replace(column, axis=names[first.name], mask=first.name if column.train.is_mask and first is not column else "")  # type: ignore[attr-defined]
        if (first := firsts.get(column.name))
        else column
        for column in columns
    ]


def following(wanted: OutputFacts, columns: Sequence[Column]) -> OutputFacts:
    """Return the answer of a task that has a position for each of a sample's: where those vary, it varies with them.

    Raises:
        DataError: the labels have other lengths.
    """
    varying = next((one for one in columns if one.axis), None)
    if varying is None or not wanted.shape:
        return wanted
    longest = max(array.shape[1] for _, array in varying.arrays)
    if wanted.shape[0] == longest:
        return msgspec.structs.replace(wanted, shape=(varying.axis, *wanted.shape[1:]))
    msg = f"labels have up to {wanted.shape[0]} positions, but the longest sample of {varying.place('train')} has {longest}\n  give a label for each position of a sample"
    raise DataError(msg)


def _varies(column: Column) -> bool:
    ragged = [is_ragged(array) for _, array in column.arrays]
    if any(ragged) and not all(ragged):
        msg = f"{column.place('train')} and {column.place('test')}: the samples of one are of several lengths, those of the other are not\n  give both alike"
        raise DataError(msg)
    for place, array in column.arrays if all(ragged) else ():
        _check_filled(place, array)
    return all(ragged)


def _check_filled(place: str, array: Any) -> None:
    import numpy as np

    empty = np.flatnonzero(array.lengths == 0)
    if len(empty):
        msg = f"{place}: sample {empty[0]} is empty: it is 0 long\n  leave it out; a model takes samples that are at least 1 long"
        raise DataError(msg)


def _first_alike(column: Column, groups: list[Column]) -> Column:
    """Return the first column whose samples are of the same lengths, which may be this one."""
    found = next((one for one in groups if _alike(one, column)), None)
    if found is None:
        groups.append(column)
    return found or column


def _alike(one: Column, other: Column) -> bool:
    import numpy as np

    return all(np.array_equal(own.lengths, their.lengths) for own, their in _pairs(one, other))


def _pairs(one: Column, other: Column) -> Iterator[tuple[Any, Any]]:
    return ((getattr(one, split), getattr(other, split)) for split in ("train", "test"))
