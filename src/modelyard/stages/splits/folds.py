"""One fold of a cross-validation as a data set of its own: what it trains on, and what is held out to test with."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from modelyard.artifacts import Splits
from modelyard.artifacts.folds import fold_numbers, group_shares
from modelyard.errors import DataError
from modelyard.files.ragged import RaggedArray
from modelyard.stages.splits.given_labels import with_label_arrays

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from modelyard.tensors import Loss

_BLOCK_BYTES = 8 << 20


def held_out(splits: Splits, losses: Mapping[str, Loss], seed: int, cache: Path, *, folds: int, fold: int) -> Splits:
    """Return the training split in two: what one fold holds out is the test split. The test split itself is nowhere in it.

    Args:
        splits: what the data set gives.
        losses: what is learnt, by output; by an empty name where there is one: classes are spread evenly over the folds.
        seed: decides which samples are in which fold.
        cache: a folder for what does not fit into memory; it need not be there yet.
        folds: how many folds there are.
        fold: which one it is, from 0.

    Raises:
        DataError: there are too few samples, or groups are not one for each training sample.
    """
    import numpy as np

    splits = with_label_arrays(splits)
    samples, classes = _length(splits.train_x), _classes(splits.train_y, losses)
    if len(splits.groups):
        groups = _checked(splits.groups, samples)
        numbers = group_shares(groups, [1 / folds] * folds, seed, classes)
    else:
        numbers = fold_numbers(samples, folds, seed, classes)
    rows = np.flatnonzero(numbers != fold), np.flatnonzero(numbers == fold)
    (train_x, test_x), (train_y, test_y) = (
        [_taken(one, some, cache) for some in rows] for one in (splits.train_x, splits.train_y)
    )
    return replace(
        splits,
        train_x=train_x,
        train_y=train_y,
        test_x=test_x,
        test_y=test_y,
        slices={},
        test_sets={},
        groups=(),
        test_set_slices={},
    )


def _length(samples: Any) -> int:
    one = next(iter(samples.values()), ()) if isinstance(samples, Mapping) else samples
    return len(one) if hasattr(one, "__len__") else 0


def _classes(labels: Any, losses: Mapping[str, Loss]) -> Any:
    """Return the class of each sample, of the first output that has one a sample; None: there is none."""
    given = labels if isinstance(labels, Mapping) else dict.fromkeys(losses, labels)
    for name, loss in losses.items():
        y = given.get(name)
        if loss == "cross-entropy" and y is not None and y.ndim == 1 and y.dtype.kind in "iu":
            return y
    return None


def _checked(groups: Any, samples: int) -> list[Any]:
    if isinstance(groups, str | bytes) or not hasattr(groups, "__iter__"):
        msg = f"groups: is a {type(groups).__name__}\n  give a list, or an array, with what each training sample is of"
        raise DataError(msg)
    if len(groups) != samples:
        msg = f"groups: has {len(groups):,} values for {samples:,} training samples\n  give one for each"
        raise DataError(msg)
    found = [one.item() if hasattr(one, "item") else one for one in groups]
    for number, one in enumerate(found):
        if isinstance(one, bool) or not isinstance(one, str | int):
            msg = f"groups: that of training sample {number} is {one!r}\n  allowed: a text or a whole number"
            raise DataError(msg)
    return [str(one) for one in found]


def _taken(values: Any, rows: NDArray[Any], cache: Path) -> Any:
    """Return some rows of samples or labels, in whatever form a data set gives them; what is not in memory stays so."""
    import numpy as np

    if values is None:
        return None
    if isinstance(values, Mapping):
        return {name: _taken(one, rows, cache) for name, one in values.items()}
    if isinstance(values, RaggedArray):
        return values.take(rows)
    if isinstance(values, np.ndarray) and not isinstance(values, np.memmap):
        return values[rows]
    is_array = all(hasattr(values, part) for part in ("shape", "dtype", "ndim")) and values.dtype.kind in "biuf"
    return _on_disk(values, rows, cache) if is_array else _Rows(values, rows)


def _on_disk(values: Any, rows: NDArray[Any], cache: Path) -> NDArray[Any]:
    """Return some rows of an array, or of what can be looked at like one, in a file that has no name: it goes when the array does."""
    import numpy as np

    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=cache) as file:
        taken = np.memmap(file, values.dtype, "w+", shape=(len(rows), *values.shape[1:]))
    step = max(1, _BLOCK_BYTES * len(taken) // max(1, taken.nbytes))
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        is_numpy = isinstance(values, np.ndarray)
        taken[start : start + step] = values[some] if is_numpy else np.stack([values[int(row)] for row in some])
    return taken


class _Rows:
    """Some rows of what gives one sample after another by its number."""

    def __init__(self, values: Any, rows: NDArray[Any]) -> None:
        self._values, self._rows = values, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> Any:
        return self._values[int(self._rows[number])]
