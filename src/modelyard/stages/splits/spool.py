"""Columns that grow by a sample at a time, on disk: all values in a row, and where each sample begins."""

from __future__ import annotations

import tempfile
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError
from modelyard.files.columns import Ragged
from modelyard.files.ragged import RaggedArray
from modelyard.stages.splits.texts import content_of, contents_of, is_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BUFFER_BYTES = 1 << 20


class Spool:
    """A column on disk, in a file without a name: it goes when nobody looks at its arrays any more."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=_BUFFER_BYTES)  # noqa: SIM115 - it lives as long as this
        self._ends = array("q", [0])

    def add(self, value: Any, place: str) -> None:
        """Write the value of the next sample, which messages call `place`.

        Raises:
            DataError: it is not like those before it.
        """
        raise NotImplementedError

    def array(self) -> Any:
        """Return what was written as one array."""
        raise NotImplementedError

    def texts(self) -> Any:
        """Return what was written as texts."""
        raise NotImplementedError

    def _values(self, dtype: Any) -> NDArray[Any]:
        import numpy as np

        self._file.flush()
        return np.memmap(self._file, dtype, "r") if self._ends[-1] else np.empty(0, dtype)


class BytesSpool(Spool):
    """Texts, which are written in UTF-8, other bytes, and the contents of files; or arrays of them, of one shape."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._shape: tuple[int, ...] | None = None

    def add(self, value: Any, place: str) -> None:
        """Write a text, bytes, or what is in the file of a path; or an array of them."""
        import numpy as np

        if not is_text(value):
            msg = f"{place} is a {type(value).__name__}, but the first is a text, bytes or a path\n  give all the same"
            raise DataError(msg)
        if self._shape is None:
            self._shape = np.asarray(value, object).shape
        is_one = not self._shape and isinstance(value, str | bytes | Path)
        for content in (content_of(value, place),) if is_one else contents_of(value, self._shape, place).flat:
            self._file.write(content)
            self._ends.append(self._ends[-1] + len(content))

    def array(self) -> Ragged:
        """Return a column of bytes."""
        import numpy as np

        return Ragged(self._values(np.uint8), np.frombuffer(self._ends, np.int64), self._shape or ())

    def texts(self) -> NDArray[np.object_]:
        """Return the texts, shape `(N, ...)`."""
        import numpy as np

        held = self.array()[:]
        found = np.empty(held.size, object)
        found[:] = [one.decode() for one in held.flat]
        return found.reshape(held.shape)


class NumbersSpool(Spool):
    """Numbers: samples of one type, and of one shape but for how long they are along their first axis.

    Attributes:
        shortest: the shortest sample's length; 0 for single numbers, as `longest` is.
        longest: the longest sample's.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._dtype: Any = None
        self._shape: tuple[int, ...] = ()
        self.shortest = self.longest = 0

    def add(self, value: Any, place: str) -> None:
        """Write a number, or an array of numbers of any framework that numpy can look at."""
        import numpy as np

        found = _numbers(value, place)
        if self._dtype is None:
            self._dtype, self._shape = found.dtype, found.shape
            self.shortest = self.longest = found.shape[0] if found.ndim else 0
        self._check(found, place)
        if found.ndim:
            self.shortest, self.longest = min(self.shortest, len(found)), max(self.longest, len(found))
        self._file.write(np.ascontiguousarray(found, self._dtype).data)
        self._ends.append(self._ends[-1] + (len(found) if found.ndim else 1))

    def _check(self, found: NDArray[Any], place: str) -> None:
        import numpy as np

        if found.ndim != len(self._shape) or found.shape[1:] != self._shape[1:]:
            msg = f"{place} has the shape {found.shape}, but the first has {self._shape}\n  all are of one shape, but for how long they are along their first axis"
            raise DataError(msg)
        if not np.can_cast(found.dtype, self._dtype, "safe"):
            msg = f"{place} is {found.dtype}, but the first is {self._dtype}\n  give all the same type"
            raise DataError(msg)

    def array(self) -> NDArray[Any]:
        """Return samples of one shape, shape `(N, ...)`."""
        return self._values(self._dtype).reshape(len(self._ends) - 1, *self._shape)

    def padded(self, length: int | None, pad: float) -> RaggedArray:
        """Return samples of several lengths, `pad` behind each that is shorter, shape `(N, length, ...)`.

        Args:
            length: how long all look; None: as long as the longest of those that are looked at together.
            pad: what follows a shorter one.
        """
        import numpy as np

        values = self._values(self._dtype).reshape(self._ends[-1], *self._shape[1:])
        return RaggedArray.of(values, np.frombuffer(self._ends, np.int64), pad, length=length)


def _numbers(value: Any, place: str) -> NDArray[Any]:
    """Return `value` as an array of numbers.

    Raises:
        DataError: it is none.
    """
    import numpy as np

    try:
        found = np.asarray(value)
    except Exception as exc:  # whatever a framework's array says of itself
        found, why = np.empty(0, object), f": {exc}"
    else:
        why = ""
    if found.dtype.kind in "biuf":
        return found
    msg = f"{place} is a {type(value).__name__}, which is no array of numbers{why:.120}\n  give numbers, a text, bytes or the path of a file"
    raise DataError(msg)
