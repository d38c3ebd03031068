"""Labels that are quantities: finite numbers, one or more for each sample. Imported where a data set is checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modelyard.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelyard.artifacts import Splits

_BLOCK_BYTES = 16 << 20
"""How many bytes of labels are looked at together."""


def label_shape(name: str, labels: NDArray[Any] | None) -> tuple[int, ...]:
    """Return the shape of a sample's label, of one number `(1,)`.

    Raises:
        DataError: they are no finite numbers.
    """
    if labels is None or labels.dtype.kind not in "biuf" or not labels.size:
        given = "there is none" if labels is None else f"labels are {labels.dtype}, shape {labels.shape}"
        msg = f"{name}: {given}\n  a regression needs numbers, shape (samples,) or (samples, quantities), with further axes between them or not"
        raise DataError(msg)
    rows = max(1, _BLOCK_BYTES * len(labels) // labels.nbytes)
    for start in range(0, len(labels), rows):
        part = labels[start : start + rows]
        finite = np.isfinite(part.reshape(len(part), -1).astype(np.float32)).all(axis=1)
        if not finite.all():
            row = start + int(np.argmin(finite))
            wrong = labels[row].ravel()[:8].tolist() if labels.ndim > 1 else labels[row].item()
            msg = f"{name}: the label of sample {row} is {wrong!r}, which is no finite float32\n  mend the data, or leave the sample out"
            raise DataError(msg)
    return (1,) if labels.ndim == 1 else labels.shape[1:]


def same_shape(splits: Splits) -> tuple[int, ...]:
    """Return the shape of a sample's label, which is the same in both splits, of one number `(1,)`.

    Raises:
        DataError: they differ, or are no finite numbers.
    """
    train, test = (label_shape(name, getattr(splits, name)) for name in ("train_y", "test_y"))
    if train != test:
        had = [f"{shape[0]} numbers a sample" if len(shape) == 1 else f"the shape {shape}" for shape in (train, test)]
        msg = f"train_y: {had[0]}, but test_y has {had[1]}\n  give both the same"
        raise DataError(msg)
    return train
