"""What labels must be: whole numbers from 0, one for each class; and what to do with those that people really have."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

_MINUS_ONE = frozenset((1 << bits) - 1 for bits in (8, 16, 32, 64))
"""What -1 becomes in an unsigned type."""

_MOST_CLASSES = 1_000_000

_OTHER = "; or say what else is learnt in [tool.modelyard.task]: regression, multi-label, embedding, agreement"


def check_labels(name: str, y: NDArray[np.generic] | None, classes: int) -> None:
    """Check that every label of the array `name` is that of one of `classes` classes.

    Raises:
        DataError: one is not; the message names it, its sample, and what to do.
    """
    y = _whole_numbers(name, y)
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= classes:
        advice = _advice(y, low, high, classes)
        msg = f"{name}: labels from {low} to {high}, but there are {classes} class names\n  {advice}"
        raise DataError(msg)


def check_identities(name: str, y: NDArray[np.generic] | None, least: int = 1) -> None:
    """Check that the array `name` says by a whole number, whichever, of what each sample is; samples of one are alike.

    Args:
        name: the array's name, for messages.
        y: the labels.
        least: how many samples of one there must be.

    Raises:
        DataError: they are none, or too few are alike.
    """
    import numpy as np

    if y is None or y.ndim != 1 or y.dtype.kind not in "iu":
        given = "there is none" if y is None else f"labels are {y.dtype}, shape {y.shape}"
        msg = f"{name}: {given}\n  give a whole number for each sample, shape (samples,); those that are alike have the same"
        raise DataError(msg)
    values, counts = np.unique(y, return_counts=True)
    few = np.flatnonzero(counts < least)
    if len(few):
        msg = f"{name}: {counts[few[0]]} sample has the label {values[few[0]].item()!r}, so there is no other to find\n  give {least} of each, or leave it out ({len(few):,} such labels)"
        raise DataError(msg)


def _whole_numbers(name: str, y: NDArray[np.generic] | None) -> NDArray[np.generic]:
    if y is None:
        msg = f"{name}: there is none\n  a class for each sample is needed: whole numbers from 0{_OTHER}"
        raise DataError(msg)
    if y.ndim != 1:
        msg = f"{name}: has the shape {y.shape}\n  it needs ({len(y)},): one label a sample{_OTHER}"
        raise DataError(msg)
    if y.dtype.kind not in "iu":
        msg = f"{name}: labels are {y.dtype}{_not_finite(y)}\n  give whole numbers from 0, in the order of the class names{_OTHER}"
        raise DataError(msg)
    return y


def _not_finite(y: NDArray[np.generic]) -> str:
    """Return how many labels are no finite number, and which is the first; nothing if all are, or none is a number."""
    import numpy as np

    rows = np.flatnonzero(~np.isfinite(y)) if y.dtype.kind == "f" else np.zeros(0, int)
    if len(rows) == 0:
        return ""
    return f", and {len(rows):,} of {len(y):,} no finite number: that of sample {rows[0]} is {y[rows[0]]}"


def names_of(name: str, y: NDArray[np.generic] | None) -> tuple[str, ...]:
    """Return the labels in the array `name` as names of their classes: as many as there are, however large a label is.

    Raises:
        DataError: they are no whole numbers, one a sample, or so many that they are values, not classes.
    """
    import numpy as np

    classes = len(np.unique(_whole_numbers(name, y)))
    if classes > _MOST_CLASSES:
        msg = (
            f"{name}: {classes:,} different labels: these are values, not classes\n"
            f"  at most {_MOST_CLASSES:,} classes are named after their labels: give class_names, or fewer classes{_OTHER}"
        )
        raise DataError(msg)
    return tuple(map(str, range(classes)))


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


def check_class_names(names: Sequence[Any]) -> tuple[str, ...]:
    """Return the names of the classes, two or more.

    Raises:
        DataError: they are too few, or one is no name, or there twice.
    """
    return check_names("class_names", names, "class", least=2)


def check_names(where: str, names: Sequence[Any], what: str, least: int = 1) -> tuple[str, ...]:
    """Return names that differ, of `what` they are of.

    Raises:
        DataError: they are too few, or one is no name, or there twice.
    """
    wrong = [n for n in names if not isinstance(n, str) or not n.strip()]
    if wrong:
        msg = f"{where}: {wrong[0]!r} is not a name\n  give a text for each {what}"
        raise DataError(msg)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        msg = f"{where}: {twice[0]!r} is there twice\n  each {what} needs a name of its own"
        raise DataError(msg)
    if len(names) < least:
        msg = (
            f"{where}: {len(names)} class(es): there is nothing to tell apart\n  give two classes or more; "
            "or say what else is learnt, for instance [tool.modelyard.task] use = 'regression'"
        )
        raise DataError(msg)
    return tuple(names)


def check_each_class(counts: Sequence[int], names: Sequence[str]) -> None:
    """Check that the training labels hold each class.

    Args:
        counts: how many of them are of each class; empty where nothing is counted.
        names: the classes.

    Raises:
        DataError: one is not there.
    """
    missing = [label for label, count in enumerate(counts) if not count]
    if missing:
        told = ", ".join(f"{names[label]!r} (label {label})" for label in missing[:5])
        more = f" and {len(missing) - 5} others" if len(missing) > 5 else ""
        msg = f"train_y: no sample of {told}{more}: it cannot be learnt\n  add samples, or leave the class out"
        raise DataError(msg)
