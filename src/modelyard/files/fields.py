"""Several arrays side by side in one, with a field for each: so they are kept, cut and mapped into memory as one is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


def joined(arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Return one array, shape `(N,)`, with a field for each of `arrays`, of the shape `(N, ...)`, one or more.

    Source: NumPy User Guide, "Structured arrays".
    """
    import numpy as np

    held = {name: np.asarray(one) for name, one in arrays.items()}
    kind = np.dtype([(name, one.dtype, one.shape[1:]) for name, one in held.items()])
    made = np.empty(len(next(iter(held.values()))), kind)
    for name, one in held.items():
        made[name] = one
    return made


def shape_of(array: NDArray[Any]) -> Any:
    """Return the shape of an array; of one with fields, that of each field by its name."""
    if array.dtype.names is None:
        return array.shape
    return {name: array[name].shape for name in array.dtype.names}
