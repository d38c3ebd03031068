"""What must hold of a data set before it is written: all but the samples' values, which are checked on the way."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError
from modelyard.stages.labels import check_labels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Splits

_FLOAT32_EXACT = 2**24
"""Every whole number up to this is a float32."""


def check_splits(splits: Splits) -> None:
    """Check shapes, types, labels, class names and value range.

    Raises:
        DataError: the first thing that does not fit.
    """
    _check_names(splits)
    _check_range(splits)
    for name in ("train", "test"):
        _check_shapes(name, getattr(splits, f"{name}_x"), getattr(splits, f"{name}_y"))
        check_labels(f"{name}_y", getattr(splits, f"{name}_y"), len(splits.class_names))
    if splits.train_x.shape[1:] != splits.test_x.shape[1:]:
        train, test = splits.train_x.shape[1:], splits.test_x.shape[1:]
        msg = f"train_x: a sample has the shape {train}, but in test_x it has {test}\n  give both the same"
        raise DataError(msg)
    _check_every_class(splits)


def stored_dtype(splits: Splits) -> np.dtype[Any]:
    """Return the type of the samples on disk: uint8 or float32.

    Raises:
        DataError: the samples are not numbers, the splits differ, or whole numbers do not fit a float32.
    """
    import numpy as np

    kinds = {name: getattr(splits, name).dtype for name in ("train_x", "test_x")}
    for name, dtype in kinds.items():
        if dtype.kind not in "biuf":
            msg = (
                f"{name}: samples are {dtype}, which is not allowed\n"
                "  allowed: uint8 or float32, or what converts to them"
            )
            raise DataError(msg)
    _check_fits_float32(splits)
    floats = {dtype.kind == "f" for dtype in kinds.values()}
    if len(floats) > 1:
        msg = f"train_x is {kinds['train_x']} but test_x is {kinds['test_x']}\n  give both the same type"
        raise DataError(msg)
    low, high = splits.value_range
    if floats == {False} and low >= 0 and high <= 255:
        return np.dtype(np.uint8)
    if floats == {False} and max(abs(low), abs(high)) > _FLOAT32_EXACT:
        msg = (
            f"train_x is {kinds['train_x']} with values up to {high:g}, which a float32 cannot hold exactly\n"
            "  scale it to float32"
        )
        raise DataError(msg)
    return np.dtype(np.float32)


def _check_fits_float32(splits: Splits) -> None:
    import numpy as np

    if max(map(abs, splits.value_range)) > float(np.finfo(np.float32).max):
        msg = f"value_range: {splits.value_range!r} goes beyond what a float32 can hold\n  scale the samples"
        raise DataError(msg)


def _check_names(splits: Splits) -> None:
    names = list(splits.class_names)
    wrong = [n for n in names if not isinstance(n, str) or not n.strip()]
    if wrong:
        msg = f"class_names: {wrong[0]!r} is not a name\n  give a text for each class"
        raise DataError(msg)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        msg = f"class_names: {twice[0]!r} is there twice\n  each class needs a name of its own"
        raise DataError(msg)
    if len(names) < 2:
        msg = f"class_names: {len(names)} class(es): there is nothing to tell apart\n  give two classes or more"
        raise DataError(msg)


def _check_range(splits: Splits) -> None:
    low, high = splits.value_range
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        msg = (
            f"value_range: {(low, high)!r} is not a range\n"
            "  give the lowest and the highest value, for instance (0, 255)"
        )
        raise DataError(msg)


def _check_shapes(name: str, x: NDArray[np.generic], y: NDArray[np.generic]) -> None:
    if x.ndim < 2:
        msg = (
            f"{name}_x: has the shape {x.shape}\n  it needs (samples, ...): an axis of samples, then those of a sample"
        )
        raise DataError(msg)
    if y.ndim != 1 or len(x) != len(y):
        msg = f"{name}_y: has the shape {y.shape} beside {len(x):,} samples\n  it needs ({len(x)},): one label a sample"
        raise DataError(msg)
    if x.size == 0:
        msg = f"{name}_x: is empty, its shape is {x.shape}\n  each split needs at least one sample"
        raise DataError(msg)


def _check_every_class(splits: Splits) -> None:
    import numpy as np

    missing = sorted(set(range(len(splits.class_names))) - {int(label) for label in np.unique(splits.train_y)})
    if missing:
        names = ", ".join(f"{splits.class_names[label]!r} (label {label})" for label in missing[:5])
        msg = f"train_y: no sample of {names}\n  labels must be used without a gap: add samples, or leave the class out"
        raise DataError(msg)
