"""What must hold of a data set before it is written: all but the samples' values, which are checked on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError
from modelyard.stages.splits.column import Column
from modelyard.stages.splits.columns import columns_of
from modelyard.stages.splits.texts import is_column

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Splits


def check_splits(splits: Splits) -> list[Column]:
    """Check what must hold whatever is learnt: shapes and types of the samples, a label for each, and the value range.

    Returns:
        The columns of the samples.

    Raises:
        DataError: the first thing that does not fit.
    """
    columns = columns_of(splits)
    labels = [name for name in ("train_y", "test_y") if getattr(splits, name) is not None]
    for name in labels:
        _check_labels(name, getattr(splits, name))
    if len(labels) == 1:
        msg = f"{labels[0]}: there are labels for one split alone\n  give them for both, or for none"
        raise DataError(msg)
    for column in columns:
        _check_range(column)
        _check_samples(column)
        _check_pad(column)
    for split in ("train", "test"):
        _check_lengths(split, columns, getattr(splits, f"{split}_y"))
    return columns


def stored_dtype(column: Column) -> np.dtype[Any]:
    """Return the type of a column's samples on disk: uint8, float16, float32, int32 or int64, or that of objects, which are bytes.

    Raises:
        DataError: the samples are neither numbers nor texts, the splits differ, or whole numbers do not fit an int64.
    """
    import numpy as np

    kinds = {place: array.dtype for place, array in column.arrays}
    if all(is_column(array) for _, array in column.arrays):
        return np.dtype(object)
    if any(is_column(array) for _, array in column.arrays):
        raise _unlike({place: "texts" if dtype.kind == "O" else dtype for place, dtype in kinds.items()})
    for name, dtype in kinds.items():
        if dtype.kind not in "biuf":
            msg = (
                f"{name}: samples are {dtype}, which is not allowed\n"
                "  allowed: uint8, int32, int64 or float32, or what converts to them; texts, bytes, or paths of files"
            )
            raise DataError(msg)
    if len({dtype.kind == "f" for dtype in kinds.values()}) > 1:
        raise _unlike(kinds)
    _check_fits_float32(column)
    if any(dtype.kind != "f" for dtype in kinds.values()):
        return _whole_dtype(kinds, column)
    are_halves = all(dtype.itemsize == 2 for dtype in kinds.values())
    return np.dtype(np.float16 if are_halves else np.float32)


def sample_dtype(stored: np.dtype[Any]) -> str:
    """Return the type of samples that are of the type `stored` on disk: float16 is looked at as float32, objects are bytes."""
    if stored.kind == "O":
        return "bytes"
    return "float32" if stored == "float16" else str(stored)


def _unlike(kinds: Mapping[str, object]) -> DataError:
    (train, first), (test, second) = kinds.items()
    return DataError(f"{train} is {first} but {test} is {second}\n  give both the same type")


def _whole_dtype(kinds: Mapping[str, np.dtype[Any]], column: Column) -> np.dtype[Any]:
    """Return the type of whole numbers on disk: bytes stay bytes, which is what pictures are made of.

    Raises:
        DataError: they go beyond an int64.
    """
    import numpy as np

    if all(dtype.kind == "b" or dtype == np.uint8 for dtype in kinds.values()):
        return np.dtype(np.uint8)
    if max(map(abs, column.value_range or (0,))) >= 2**63:
        msg = f"{column.range_place}: {column.value_range!r} goes beyond what an int64 can hold\n  scale the samples to float32"
        raise DataError(msg)
    small = (np.can_cast(dtype, np.int32) for dtype in kinds.values())
    return np.dtype(np.int32) if all(small) else np.dtype(np.int64)


def _check_fits_float32(column: Column) -> None:
    import numpy as np

    if max(map(abs, column.value_range or (0,))) > float(np.finfo(np.float32).max):
        msg = f"{column.range_place}: {column.value_range!r} goes beyond what a float32 can hold\n  scale the samples"
        raise DataError(msg)


def _check_labels(name: str, value: Any) -> None:
    if not all(hasattr(value, part) for part in ("ndim", "shape", "dtype")):
        msg = f"{name}: is a {type(value).__name__}, not a numpy array\n  give one array, a label along its first axis"
        raise DataError(msg)


def _check_range(column: Column) -> None:
    if column.value_range is None:
        return
    if is_column(column.train):
        msg = f"{column.range_place}: {column.place('train')} holds texts, which have no lowest and highest value\n  leave it out"
        raise DataError(msg)
    low, high = column.value_range
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        msg = (
            f"{column.range_place}: {(low, high)!r} is not a range\n"
            "  give the lowest and the highest value, for instance (0, 255)"
        )
        raise DataError(msg)


def _check_samples(column: Column) -> None:
    for place, array in column.arrays:
        if array.ndim < (1 if column.is_named or is_column(array) else 2):
            msg = f"{place}: has the shape {array.shape}\n  it needs (samples, ...): an axis of samples, then those of a sample"
            raise DataError(msg)
        if array.size == 0:
            msg = f"{place}: is empty, its shape is {array.shape}\n  each split needs at least one sample"
            raise DataError(msg)
    (train, first), (test, second) = column.arrays
    fixed = 2 if column.axis else 1
    if first.shape[fixed:] != second.shape[fixed:]:
        msg = (
            f"{train}: a sample has the shape {first.shape[1:]}, but in {test} it has {second.shape[1:]}\n"
            "  give both the same"
        )
        raise DataError(msg)


def _check_pad(column: Column) -> None:
    """Check that what follows shorter samples can be among them."""
    if not column.axis:
        return
    import numpy as np

    pad: float = column.train.pad  # type: ignore[attr-defined]
    dtype, (low, high) = column.train.dtype, column.value_range or (-math.inf, math.inf)
    with np.errstate(all="ignore"):
        is_kept = np.asarray(pad).astype(dtype).astype(np.float64) == pad or dtype.kind == "f"
    if not (math.isfinite(pad) and is_kept and low <= pad <= high):
        values = "" if column.value_range is None else f" from {low:g} to {high:g}"
        msg = f"{column.place('train')}: pad = {pad!r} is no value of {dtype}{values}\n  what follows a shorter sample is of its type, and within its value range"
        raise DataError(msg)


def _check_lengths(split: str, columns: Sequence[Column], y: NDArray[np.generic] | None) -> None:
    """Check that each column, and the labels, have as many samples as the first."""
    samples = len(getattr(columns[0], split))
    for column in columns[1:]:
        if len(getattr(column, split)) != samples:
            places = columns[0].place(split), column.place(split)
            msg = f"{places[1]}: has {len(getattr(column, split)):,} samples, but {places[0]} has {samples:,}\n  each sample has a part in every array"
            raise DataError(msg)
    if y is not None and (y.ndim == 0 or len(y) != samples):
        msg = f"{split}_y: has the shape {y.shape} beside {samples:,} samples\n  it needs ({samples},): one label a sample"
        raise DataError(msg)
