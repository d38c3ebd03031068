"""Set samples apart, class by class where there are classes, from a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from modelyard.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

TestFraction = Annotated[float, Meta(gt=0, lt=1, description="a fraction above 0 and below 1")]
"""The part of the samples that is set apart."""


def stratified_split(
    labels: NDArray[np.generic], fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows to keep and the rows to set apart, each sorted, int64.

    Every class gives `fraction` of its samples, rounded, and keeps and gives at least one.

    Args:
        labels: integers, shape `(N,)`.
        fraction: the part to set apart, above 0 and below 1.
        seed: decides which samples.

    Raises:
        DataError: a class has a single sample.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    apart = []
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        if len(rows) < 2:
            msg = (
                f"the class with label {label} has a single sample: it cannot be in both splits\n"
                "  add samples, or leave the class out"
            )
            raise DataError(msg)
        apart.append(rows[: min(max(round(len(rows) * fraction), 1), len(rows) - 1)])
    away = np.sort(np.concatenate(apart)).astype(np.int64)
    return np.setdiff1d(np.arange(len(labels), dtype=np.int64), away), away


def row_split(samples: int, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows to keep and the rows to set apart, each sorted, int64, of samples that are of no class.

    Args:
        samples: how many there are.
        fraction: the part to set apart, above 0 and below 1, rounded; at least one is kept and one set apart.
        seed: decides which samples.

    Raises:
        DataError: there is a single sample.
    """
    import numpy as np

    if samples < 2:
        msg = f"{samples} sample(s): there cannot be one in both splits\n  add samples"
        raise DataError(msg)
    order = np.random.default_rng(seed).permutation(samples).astype(np.int64)
    apart = min(max(round(samples * fraction), 1), samples - 1)
    return np.sort(order[apart:]), np.sort(order[:apart])


def split_rows(
    y: NDArray[np.generic] | None, samples: int, fraction: float, seed: int, *, stratify: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows to keep and the rows to set apart: of each class, or of all where there are no classes.

    Args:
        y: what is to be learnt, shape `(samples, ...)`; whole numbers of the shape `(samples,)` say classes.
        samples: how many there are.
        fraction: the part to set apart, above 0 and below 1.
        seed: decides which samples.
        stratify: whether to look at classes at all.

    Raises:
        DataError: there is a single sample, in all or of a class.
    """
    if not stratify or y is None or y.ndim != 1 or y.dtype.kind not in "iu":
        return row_split(samples, fraction, seed)
    try:
        return stratified_split(y, fraction, seed)
    except DataError as exc:
        msg = f"{exc}; or set stratify = false where these numbers are no classes"
        raise DataError(msg) from exc


def parts_of(
    lengths: Sequence[int],
    y: NDArray[np.generic] | None,
    fraction: float,
    seed: int,
    *,
    stratify: bool,
    groups: Sequence[Sequence[str]] = (),
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows for training and those for testing: of two tables all, of one those that are kept and set apart.

    Args:
        lengths: how many rows each table has, one or two.
        y: what is to be learnt in the first.
        fraction: the part to set apart of one table, above 0 and below 1.
        seed: decides which rows.
        stratify: whether to set apart that part of each class.
        groups: what the rows of each table are of that belong together, such as patients: no group is on both sides; none:
            each row stands for itself.

    Raises:
        DataError: there is a single sample, in all or of a class; or a group is in both tables.
    """
    import numpy as np

    if groups:
        return _by_group(groups, y if stratify else None, fraction, seed)
    if len(lengths) == 1:
        return split_rows(y, lengths[0], fraction, seed, stratify=stratify)
    train, test = (np.arange(length, dtype=np.int64) for length in lengths)
    return train, test


def _by_group(
    groups: Sequence[Sequence[str]], y: NDArray[np.generic] | None, fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    import numpy as np

    for row, one in ((row, one) for each in groups for row, one in enumerate(each)):
        if not one:
            msg = f"the group of sample {row} is empty\n  fill it in, or leave the row out"
            raise DataError(msg)
    if len(groups) == 1:
        from modelyard.artifacts.folds import group_shares  # most data sets have no groups

        classes = y if y is not None and y.ndim == 1 and y.dtype.kind in "iu" else None
        share = group_shares(groups[0], [1 - fraction, fraction], seed, classes)
        return np.flatnonzero(share == 0), np.flatnonzero(share == 1)
    if both := sorted(set(groups[0]) & set(groups[1])):
        msg = f"the group {both[0]!r} has samples for training and for testing\n  leave them out on one side; or name no group"
        raise DataError(msg)
    train, test = (np.arange(len(one), dtype=np.int64) for one in groups)
    return train, test
