"""Columns as clients send them: texts and other bytes, arrays, and samples of several lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError
from modelyard.files.ragged import is_ragged
from modelyard.stages.splits.texts import Texts, are_texts

if TYPE_CHECKING:
    from modelyard.serving.handler_tensor import Tensor


def column_of(value: Any, place: str, tensor: Tensor | None) -> Any:
    """Return a column: texts where the handlers take some, or where it holds some that no handler takes; else an array.

    Raises:
        DataError: it is something else.
    """
    if tensor is not None and tensor.dtype == "bytes":
        if getattr(value, "dtype", None) is not None and value.dtype.kind in "biufc":
            msg = f"{place}: is an array of {value.dtype}, but the handlers take texts or bytes\n  give what a client sends: texts, bytes, or paths of files"
            raise DataError(msg)
        return Texts(value, place)
    if tensor is None and are_texts(value):
        return Texts(value, place)
    if not all(hasattr(value, part) for part in ("ndim", "shape", "dtype")):
        msg = (
            f"{place}: is a {type(value).__name__}, not a numpy array\n  give one array, a sample along its first axis"
        )
        raise DataError(msg)
    if is_ragged(value):
        _check_ragged(value, place, tensor)
        return value
    return value if tensor is None else value.astype(tensor.dtype, casting="same_kind")


def _check_ragged(value: Any, place: str, tensor: Tensor | None) -> None:
    """Check that handlers take samples of several lengths, of this type.

    Raises:
        DataError: they do not.
    """
    import numpy as np

    if tensor is None:
        return
    if tensor.shape != ("...",) and not (tensor.shape and isinstance(tensor.shape[0], str)):
        axes = f"({', '.join(map(str, tensor.shape))})"
        msg = f"{place}: its samples are of several lengths, but the handlers take those of the shape {axes}\n  pad them in the data set, Streams(..., ragged=False); or let the handler take an axis that has a name"
        raise DataError(msg)
    if not np.can_cast(value.dtype, tensor.dtype, "same_kind"):
        msg = f"{place}: is an array of {value.dtype}, but the handlers take {tensor.dtype}\n  give what a client sends"
        raise DataError(msg)
