"""What labels must be: whole numbers from 0, one for each class; and what to do with those that people really have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MINUS_ONE = frozenset((1 << bits) - 1 for bits in (8, 16, 32, 64))
"""What -1 becomes in an unsigned type."""


def check_labels(name: str, y: NDArray[np.generic], classes: int) -> None:
    """Check that every label of the array `name` is that of one of `classes` classes.

    Raises:
        DataError: one is not; the message names it, its sample, and what to do.
    """
    if y.dtype.kind not in "iu":
        msg = f"{name}: labels are {y.dtype}\n  give whole numbers from 0, in the order of the class names"
        raise DataError(msg)
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= classes:
        advice = _advice(y, low, high, classes)
        msg = f"{name}: labels from {low} to {high}, but there are {classes} class names\n  {advice}"
        raise DataError(msg)


def _advice(y: NDArray[np.generic], low: int, high: int, classes: int) -> str:
    import numpy as np

    allowed = f"labels count from 0 to {classes - 1}"
    if low == 1 and high == classes:
        return f"{allowed}: subtract 1 from each"
    wrong = low if low < 0 else high
    rows = np.flatnonzero(y == wrong)
    where = f"label {wrong} stands at {len(rows):,} of {len(y):,} samples, the first is sample {rows[0]}"
    if low < 0 or high in _MINUS_ONE:
        same = "" if low < 0 else " (-1 without a sign)"
        return f"{where}; if it{same} means 'unknown' or 'ignore', leave those samples out: {allowed}"
    return f"{where}; {allowed}, without a gap: number the classes anew, or name them all"
