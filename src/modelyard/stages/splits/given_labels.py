"""Labels as a data set gives them: arrays, or lists that become such."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from modelyard.errors import DataError

if TYPE_CHECKING:
    from modelyard.artifacts import Splits


def with_label_arrays(splits: Splits) -> Splits:
    """Return `splits` with arrays in place of lists of labels.

    Raises:
        DataError: a list holds labels of several shapes.
    """
    found = {name: getattr(splits, name) for name in ("train_y", "test_y")}
    lists = {name: _array(name, value) for name, value in found.items() if isinstance(value, list | tuple)}
    return replace(splits, **lists, test_sets=_of_sets(splits.test_sets))


def _of_sets(sets: Any) -> Any:
    """Return further test sets with arrays in place of lists of labels; what is no pair is told where sets are opened."""
    if not isinstance(sets, Mapping):
        return sets
    return {
        name: (pair[0], _array(f"test_sets[{name!r}]: y", pair[1]))
        if isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[1], list | tuple)
        else pair
        for name, pair in sets.items()
    }


def _array(name: str, labels: Any) -> Any:
    import numpy as np

    if any(isinstance(one, str | bytes) for one in labels):
        texts = np.empty(len(labels), object)
        texts[:] = labels
        return texts
    try:
        return np.asarray(labels)
    except ValueError as exc:  # rows of several lengths
        msg = f"{name}: its labels are of several shapes\n  give all the same; where a label has positions, pad it with -1, which does not count"
        raise DataError(msg) from exc
