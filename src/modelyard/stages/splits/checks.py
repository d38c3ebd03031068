"""What must hold of a data set before it is written: all but the samples' values, which are checked on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Splits


def check_splits(splits: Splits) -> None:
    """Check what must hold whatever is learnt: shapes and types of the samples, a label for each, and the value range.

    Raises:
        DataError: the first thing that does not fit.
    """
    labels = [name for name in ("train_y", "test_y") if getattr(splits, name) is not None]
    for name in ("train_x", "test_x", *labels):
        _check_array(name, getattr(splits, name))
    if len(labels) == 1:
        msg = f"{labels[0]}: there are labels for one split alone\n  give them for both, or for none"
        raise DataError(msg)
    _check_range(splits)
    for name in ("train", "test"):
        _check_shapes(name, getattr(splits, f"{name}_x"), getattr(splits, f"{name}_y"))
    if splits.train_x.shape[1:] != splits.test_x.shape[1:]:
        train, test = splits.train_x.shape[1:], splits.test_x.shape[1:]
        msg = f"train_x: a sample has the shape {train}, but in test_x it has {test}\n  give both the same"
        raise DataError(msg)


def stored_dtype(splits: Splits) -> np.dtype[Any]:
    """Return the type of the samples on disk: uint8, float32, int32 or int64.

    Raises:
        DataError: the samples are not numbers, the splits differ, or whole numbers do not fit an int64.
    """
    import numpy as np

    kinds = {name: getattr(splits, name).dtype for name in ("train_x", "test_x")}
    for name, dtype in kinds.items():
        if dtype.kind not in "biuf":
            msg = (
                f"{name}: samples are {dtype}, which is not allowed\n"
                "  allowed: uint8, int32, int64 or float32, or what converts to them"
            )
            raise DataError(msg)
    _check_fits_float32(splits)
    floats = {dtype.kind == "f" for dtype in kinds.values()}
    if len(floats) > 1:
        msg = f"train_x is {kinds['train_x']} but test_x is {kinds['test_x']}\n  give both the same type"
        raise DataError(msg)
    return np.dtype(np.float32) if floats == {True} else _whole_dtype(kinds, splits.value_range)


def _whole_dtype(kinds: Mapping[str, np.dtype[Any]], value_range: tuple[float, float]) -> np.dtype[Any]:
    """Return the type of whole numbers on disk: bytes stay bytes, which is what pictures are made of.

    Raises:
        DataError: they go beyond an int64.
    """
    import numpy as np

    if all(dtype.kind == "b" or dtype == np.uint8 for dtype in kinds.values()):
        return np.dtype(np.uint8)
    if max(map(abs, value_range)) >= 2**63:
        msg = f"value_range: {value_range!r} goes beyond what an int64 can hold\n  scale the samples to float32"
        raise DataError(msg)
    small = (np.can_cast(dtype, np.int32) for dtype in kinds.values())
    return np.dtype(np.int32) if all(small) else np.dtype(np.int64)


def _check_fits_float32(splits: Splits) -> None:
    import numpy as np

    if max(map(abs, splits.value_range)) > float(np.finfo(np.float32).max):
        msg = f"value_range: {splits.value_range!r} goes beyond what a float32 can hold\n  scale the samples"
        raise DataError(msg)


def _check_array(name: str, value: Any) -> None:
    """Check that `value` is an array, or can be looked at like one, as HDF5 data sets can."""
    if all(hasattr(value, part) for part in ("ndim", "shape", "dtype")):
        return
    given = f"a {type(value).__name__}"
    what = "a label" if name.endswith("y") else "a sample"
    if isinstance(value, Mapping):
        given += f" of {', '.join(map(repr, value)) or 'nothing'}"
    msg = (
        f"{name}: is {given}, not a numpy array\n"
        f"  give one array, {what} along its first axis; a model has one input, so join parts of a sample into one array"
    )
    raise DataError(msg)


def _check_range(splits: Splits) -> None:
    low, high = splits.value_range
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        msg = (
            f"value_range: {(low, high)!r} is not a range\n"
            "  give the lowest and the highest value, for instance (0, 255)"
        )
        raise DataError(msg)


def _check_shapes(name: str, x: NDArray[np.generic], y: NDArray[np.generic] | None) -> None:
    if x.ndim < 2:
        msg = (
            f"{name}_x: has the shape {x.shape}\n  it needs (samples, ...): an axis of samples, then those of a sample"
        )
        raise DataError(msg)
    if y is not None and (y.ndim == 0 or len(x) != len(y)):
        msg = f"{name}_y: has the shape {y.shape} beside {len(x):,} samples\n  it needs ({len(x)},): one label a sample"
        raise DataError(msg)
    if x.size == 0:
        msg = f"{name}_x: is empty, its shape is {x.shape}\n  each split needs at least one sample"
        raise DataError(msg)
