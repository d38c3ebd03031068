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
    lengths: Sequence[int], y: NDArray[np.generic] | None, fraction: float, seed: int, *, stratify: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows for training and those for testing: of two tables all, of one those that are kept and set apart.

    Args:
        lengths: how many rows each table has, one or two.
        y: what is to be learnt in the first.
        fraction: the part to set apart of one table, above 0 and below 1.
        seed: decides which rows.
        stratify: whether to set apart that part of each class.

    Raises:
        DataError: there is a single sample, in all or of a class.
    """
    import numpy as np

    if len(lengths) == 1:
        return split_rows(y, lengths[0], fraction, seed, stratify=stratify)
    train, test = (np.arange(length, dtype=np.int64) for length in lengths)
    return train, test
