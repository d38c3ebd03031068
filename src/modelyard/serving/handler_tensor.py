"""What a handler says of a tensor that it takes or gives, and whether what it gave is that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import HandlerError
from .groups import is_listed
from .tensor_facts import BYTES, fits

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Tensor:
    """One tensor that a handler takes or gives.

    Attributes:
        name: what it is called.
        dtype: the type of its elements as numpy calls it; `bytes` for texts in UTF-8, and for whatever else is no number:
            its array holds `bytes` objects.
        shape: its axes without that of the batch; a name where the length varies, and `("...",)` where nothing is known.
        may_miss: whether a number may be missing: it is NaN then, and clients may send `null`.
        pad: what follows a sample that is shorter than those beside it, where a model learns from them.
    """

    name: str
    dtype: str = "float32"
    shape: tuple[int | str, ...] = ()
    may_miss: bool = False
    pad: float = 0

    @property
    def varies(self) -> bool:
        """Whether its samples may be of several lengths: numbers, with an axis that has a name."""
        return self.dtype != "bytes" and self.shape != ("...",) and any(isinstance(axis, str) for axis in self.shape)

    def each(self, value: Any, rows: int) -> list[NDArray[Any]] | None:
        """Return each of `rows` samples of what a handler gave for it; None: all of them are one array.

        Raises:
            HandlerError: a sample is no array of numbers.
        """
        if not self.varies or not is_listed(value, rows):
            return None
        try:
            return [np.asarray(one) for one in value]
        except ValueError as exc:
            msg = f"gave {self.name!r} with a sample that is no array of numbers: {exc}"
            raise HandlerError(msg) from exc

    def array(self, value: Any, rows: int, lengths: dict[str, int]) -> NDArray[Any]:
        """Return what a handler gave for it, `rows` samples, as an array of its dtype.

        Args:
            value: an array, or a list of arrays, numbers, texts or `bytes`.
            rows: how many samples there are.
            lengths: how long each named axis is, which is noted: axes of one name are of one length.

        Raises:
            HandlerError: it is of another shape, or another type.
        """
        try:
            array = _texts(value) if self.dtype == "bytes" else np.asarray(value)
        except ValueError as exc:
            msg = f"gave {self.name!r} as samples of unlike shapes; it says {(rows, *self.shape)}, and an axis that varies has a name"
            raise HandlerError(msg) from exc
        if array.shape[:1] != (rows,) or not (self.shape == ("...",) or fits(array.shape[1:], self.shape, lengths)):
            known = "".join(
                f", {axis} = {lengths[axis]}" for axis in self.shape if isinstance(axis, str) and axis in lengths
            )
            msg = f"gave {self.name!r} of the shape {array.shape} for {rows} samples; it says {(rows, *self.shape)}{known}"
            raise HandlerError(msg)
        if self.dtype == "bytes" or array.dtype == self.dtype:
            return array
        if array.size and (array.dtype.kind not in "biuf" or not np.can_cast(array.dtype, self.dtype, "same_kind")):
            msg = f"gave {self.name!r} as {array.dtype}; it says {self.dtype}"
            raise HandlerError(msg)
        return array.astype(self.dtype)


def _texts(value: Any) -> NDArray[Any]:
    """Return texts and `bytes`, in lists or an array, as an array of `bytes`.

    Raises:
        HandlerError: there is something else among them.
    """
    held = np.asarray(value, BYTES)
    found = np.empty(held.size, BYTES)
    found[:] = [one.encode() if isinstance(one, str) else one for one in held.ravel().tolist()]
    for one in found:
        if not isinstance(one, bytes):
            msg = f"gave a {type(one).__name__} where it says texts or bytes"
            raise HandlerError(msg)
    return found.reshape(held.shape)
