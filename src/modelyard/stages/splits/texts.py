"""Columns of texts, bytes and files as a data set gives them: each is read when it is asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_BLOCK = 64
"""Samples that are read together."""
_SHOWN = 60
"""Characters of a text that a message shows."""


class Texts:
    """Texts, bytes, or paths of files, to a reader an array of `bytes`: texts are in UTF-8, of a path it is what the file holds.

    Attributes:
        dtype: that of objects.
        shape: `(N,)`, or `(N, ...)` where a sample is an array of texts.
    """

    def __init__(self, values: Any, place: str) -> None:
        import numpy as np

        if isinstance(values, str | bytes) or not hasattr(values, "__len__") or not hasattr(values, "__getitem__"):
            msg = (
                f"{place}: is a {type(values).__name__}\n  give a list, or an array, of texts, bytes or paths of files"
            )
            raise DataError(msg)
        self._values, self._place = values, place
        own = np.shape(np.asarray(values[0], object)) if len(values) else ()
        self.dtype, self.shape = np.dtype(object), (len(values), *own)
        self.ndim, self.size = len(self.shape), math.prod(self.shape)

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, rows: slice | NDArray[Any]) -> NDArray[Any]:
        """Return some of them as an array of `bytes`, shape `(n, ...)`.

        Raises:
            DataError: one is no text, or a sample is of another shape than the first.
        """
        import numpy as np

        numbers: Sequence[int] = range(len(self))[rows] if isinstance(rows, slice) else rows.tolist()
        found = np.empty((len(numbers), *self.shape[1:]), object)
        for at, number in enumerate(numbers):
            found[at] = self._sample(number)
        return found

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yield all of them in their order, some at a time."""
        return (self[start : start + _BLOCK] for start in range(0, len(self), _BLOCK))

    def named(self, number: int) -> str:
        """Return what a person finds a sample by: where the data set says that it is (`place_of`), the path of its file, or how its text begins.

        It is empty of bytes and arrays.
        """
        place_of = getattr(self._values, "place_of", None)
        if place_of is not None:
            return str(place_of(number))
        value = self._values[number]
        if isinstance(value, Path):
            return repr(str(value))
        return f"{value!r:.{_SHOWN}}" if isinstance(value, str) else ""

    def _sample(self, number: int) -> Any:
        """Return the bytes of a sample, or an array of them."""
        value, place = self._values[number], f"{self._place}: sample {number}"
        return content_of(value, place) if len(self.shape) == 1 else contents_of(value, self.shape[1:], place)


def is_column(array: Any) -> bool:
    """Tell whether a column of a data set is `Texts`, not an array of numbers."""
    return isinstance(array, Texts)


class Encoding:
    """What is known of the content of texts.

    Attributes:
        is_binary: whether one of them is not in UTF-8.
    """

    def __init__(self) -> None:
        self.is_binary = False

    def add(self, block: NDArray[Any]) -> None:
        """Look at some, an array of `bytes`."""
        try:
            for one in () if self.is_binary else block.flat:
                one.decode()
        except UnicodeDecodeError:
            self.is_binary = True


def content_of(value: Any, place: str) -> bytes:
    """Return a text in UTF-8, bytes, or what is in the file of a path.

    Raises:
        DataError: it is nothing of these, or a text of half characters, as those are that were decoded with
            `surrogateescape`; the message calls it `place`.
    """
    if isinstance(value, Path):
        return value.read_bytes()
    if isinstance(value, bytes):
        return bytes(value)
    if not isinstance(value, str):
        msg = f"{place} is a {type(value).__name__}\n  allowed: a text, bytes, or the path of a file"
        raise DataError(msg)
    try:
        return value.encode()
    except UnicodeEncodeError as exc:
        msg = f"{place} holds {value[exc.start]!r} at {exc.start}, half a character, which has no UTF-8\n  decode the text as what it is, or give bytes"
        raise DataError(msg) from exc


def contents_of(value: Any, shape: tuple[int, ...], place: str) -> NDArray[Any]:
    """Return an array of texts as one of `bytes`, of the same shape.

    Raises:
        DataError: it is not of the shape `shape`, or one of them is no text.
    """
    import numpy as np

    held = np.asarray(value, object)
    if held.shape != shape:
        msg = f"{place} has the shape {held.shape}, but the first has {shape}\n  give all the same shape"
        raise DataError(msg)
    found = np.empty(held.size, object)
    found[:] = [content_of(one, place) for one in held.ravel().tolist()]
    return found.reshape(shape)


def are_texts(values: Any) -> bool:
    """Tell whether `values` holds texts, bytes or paths of files, by its first sample."""
    is_filled = getattr(values, "ndim", 1) and hasattr(values, "__getitem__") and hasattr(values, "__len__")
    if not is_filled or isinstance(values, Mapping | str | bytes) or not len(values):
        return False
    return is_text(values[0])


def is_text(value: Any) -> bool:
    """Tell whether `value` is a text, bytes or the path of a file, or an array or list of such, by its first."""
    while isinstance(value, list | tuple) or getattr(value, "shape", None):
        if not len(value):
            return False
        value = value[0]
    return isinstance(value, str | bytes | Path)
