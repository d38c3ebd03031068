"""Columns as clients send them: texts and other bytes, arrays, and samples of several lengths."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError
from modelyard.files.ragged import is_ragged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelyard.serving.handler_tensor import Tensor


class Texts:
    """Texts and other bytes, of which each is read when it is asked for: `str`, `bytes`, or the `Path` of a file.

    Attributes:
        shape: `(N,)`.
    """

    def __init__(self, values: Any, place: str) -> None:
        if isinstance(values, str | bytes) or not hasattr(values, "__len__") or not hasattr(values, "__getitem__"):
            msg = (
                f"{place}: is a {type(values).__name__}\n  give a list, or an array, of texts, bytes or paths of files"
            )
            raise DataError(msg)
        self._values, self._place = values, place
        self.shape = (len(values),)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | NDArray[Any]) -> NDArray[Any]:
        """Return some of them as an array of `bytes`, shape `(n,)`."""
        import numpy as np

        numbers: Sequence[int] = range(len(self))[rows] if isinstance(rows, slice) else rows.tolist()
        found = np.empty(len(numbers), object)
        found[:] = [self._bytes(self._values[number], number) for number in numbers]
        return found

    def _bytes(self, value: Any, number: int) -> bytes:
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, Path):
            return value.read_bytes()
        if isinstance(value, bytes):
            return bytes(value)
        msg = f"{self._place}: sample {number} is a {type(value).__name__}\n  allowed: a text, bytes, or the path of a file"
        raise DataError(msg)


def column_of(value: Any, place: str, tensor: Tensor | None) -> Any:
    """Return a column: texts where the handlers take some, else an array.

    Raises:
        DataError: it is something else.
    """
    if tensor is not None and tensor.dtype == "bytes":
        if getattr(value, "dtype", None) is not None and value.dtype.kind in "biufc":
            msg = f"{place}: is an array of {value.dtype}, but the handlers take texts or bytes\n  give what a client sends: texts, bytes, or paths of files"
            raise DataError(msg)
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
