"""From JSON values and bytes to arrays, with TF Serving's own words for what is wrong.

Source: tensorflow_serving/util/json_tensor.cc (2.20), whose messages clients and their tests know.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import sys
from array import array
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from .tensor_facts import BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

MAX_RANK = 32
MAX_TEXT = 200
TYPE_NAMES = {"float16": "half", "float32": "float", "float64": "double", "object": "string"}
# With an indent it goes piece by piece, else the whole text would be made; looking for circles, it would keep the value.
_ENCODER = json.JSONEncoder(indent="", check_circular=False)
_TYPES: dict[str, set[type]] = {"b": {bool}, "i": {int}, "u": {int}, "f": {int, float}, "O": {str, dict}}
"""What JSON's parser makes of the values that a kind of dtype takes."""
_CODES = {(kind, array(code).itemsize): code for kind, codes in (("i", "bhiq"), ("u", "BHIQ")) for code in codes}
"""The type code of `array.array` for the kind of a dtype and its size in bytes."""


class TensorError(ValueError):
    """A value is not a tensor of the expected dtype or shape."""


@dataclass(frozen=True)
class TensorSpec:
    """What a protocol says of a tensor: its name, its dtype, and its shape without the batch axis; a name where it varies.

    Where a number `may_miss`, JSON's `null` is one that is missing: NaN.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[Any, ...]
    value_range: tuple[float, float] | None = None
    may_miss: bool = False

    @cached_property
    def dims(self) -> list[int]:
        """The shape as the protocols write it, with the batch axis: -1 where it varies."""
        return [-1, *(axis if isinstance(axis, int) else -1 for axis in self.shape)]

    @cached_property
    def is_fixed(self) -> bool:
        """Whether every sample has one shape."""
        return all(isinstance(axis, int) for axis in self.shape)

    @cached_property
    def is_text(self) -> bool:
        """Whether its elements are `bytes`: texts in UTF-8, or anything else."""
        return self.dtype == BYTES

    @cached_property
    def _holds_no_others(self) -> bool:
        """Whether the dtype has no value outside the range."""
        if self.value_range is None or self.dtype.kind not in "iu":
            return False
        limits = np.iinfo(self.dtype)
        return bool(self.value_range[0] <= limits.min and limits.max <= self.value_range[1])

    def check_values(self, array: NDArray[Any]) -> None:
        """Refuse values outside the range. NaN passes: TF Serving takes it, and what it means is the model's affair.

        Raises:
            TensorError: there is one.
        """
        if self.value_range is None or self._holds_no_others or self.is_text:
            return
        low, high = self.value_range
        outside = (array < low) | (array > high)
        if outside.any():
            msg = f"input {self.name!r} holds {array[outside][0].item()!r}; allowed: {low:g} to {high:g}"
            raise TensorError(msg)

    @property
    def expected(self) -> list[int | str]:
        """The shape as error messages say it: with the names of the axes that vary."""
        return [-1, *(axis or -1 for axis in self.shape)]


def check_count(samples: int, max_batch: int) -> None:
    """Refuse more than `max_batch` samples.

    Raises:
        TensorError: there are more.
    """
    if samples > max_batch:
        msg = f"Task size {samples} is larger than maximum input batch size {max_batch}"
        raise TensorError(msg)


def dense(value: Any, dtype: np.dtype[Any], *, has_literals: bool = True, may_miss: bool = False) -> NDArray[Any]:
    """Return the JSON `value` (a scalar, or lists nested evenly) as an array of `dtype`.

    Args:
        value: what the JSON parser gave.
        dtype: bool, an integer or a float dtype.
        has_literals: whether `true` or `false` may be somewhere in the value; looking for them takes as long as converting.
        may_miss: whether `null` is a number that is missing, NaN; `dtype` is one of floats then.

    Raises:
        TensorError: a value is of another type or out of range, or the lists are nested unevenly.
    """
    shape = nesting(value)
    if len(shape) > MAX_RANK:
        msg = f"Encountered list at unexpected level: {MAX_RANK} expected < {MAX_RANK}"
        raise TensorError(msg)
    flat = _flat(value, shape)
    if may_miss and flat is not None and None in flat:
        flat = [math.nan if one is None else one for one in flat]
        value = np.array(flat, object).reshape(shape).tolist()
    converted = None if flat is None else _convert(flat, dtype, literals=has_literals)
    if converted is None:
        _refuse(value, shape, dtype)
    return converted.reshape(shape)


def nesting(value: Any) -> tuple[int, ...]:
    """Return the shape that `value` has by its first elements: how many lists lie in one another, and how long they are."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


def is_b64(value: Any) -> bool:
    """Whether `value` is `{"b64": "..."}`, bytes in JSON."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def from_b64(value: dict[str, str], dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the little-endian, row-major bytes in `value` as an array of `shape`, one axis of which may be -1.

    Raises:
        TensorError: the text is not base64, or its length does not fit.
    """
    try:
        data = base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, ValueError) as exc:
        msg = "Unable to base64 decode"
        raise TensorError(msg) from exc
    return from_bytes(data, dtype, shape)


def from_bytes(data: bytes | memoryview, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return little-endian, row-major `data` as an array of `shape`, whose first axis may be -1.

    Raises:
        TensorError: the length does not fit.
    """
    if dtype == BYTES:
        return _texts_from_bytes(memoryview(data), math.prod(shape)).reshape(shape)
    size = abs(math.prod(shape)) * dtype.itemsize
    fits = len(data) % size == 0 if size and shape and shape[0] == -1 else len(data) == size
    if not fits:
        msg = f"{len(data)} bytes do not fit {dtype.name} of shape {shape_text(shape)} ({size} bytes)"
        raise TensorError(msg)
    array = np.frombuffer(data, dtype).reshape(shape)
    if sys.byteorder == "big":
        array = array.byteswap()
    if dtype.kind == "b" and (array.view(np.uint8) > 1).any():
        msg = "a bool is neither 0 nor 1"
        raise TensorError(msg)
    return array


def to_bytes(array: NDArray[Any]) -> bytes:
    """Return `array` as little-endian, row-major bytes; of texts, each behind its length in 4 bytes."""
    if array.dtype == BYTES:
        return b"".join([len(one).to_bytes(4, "little") + one for one in array.ravel().tolist()])
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _texts_from_bytes(data: memoryview, count: int) -> NDArray[Any]:
    """Return `count` texts, each behind its length in 4 bytes.

    Source: Triton, extension_binary_data.md.
    """
    found: list[bytes] = []
    at = 0
    while at < len(data) and len(found) < count:
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        if end > len(data) or at + 4 > len(data):
            break
        found.append(bytes(data[at + 4 : end]))
        at = end
    if len(found) < count or at < len(data):
        msg = f"{len(data)} bytes do not hold {count} texts, each behind its length in 4 bytes, and nothing else"
        raise TensorError(msg)
    return texts(found)


def text(value: Any) -> str:
    """Return `value` as JSON text on one line, cut short, for an error message."""
    shown = ""
    try:
        for piece in _ENCODER.iterencode(value):
            shown += piece.replace("\n", "")
            if len(shown) > MAX_TEXT:
                return f"{shown[:MAX_TEXT]}..."
    except RecursionError:
        return "..."
    return shown


def json_type(value: Any) -> str:
    """Return the JSON type of `value`, in TF Serving's words."""
    if value is None or isinstance(value, bool):
        return "Null" if value is None else str(value)
    kinds = ((dict, "Object"), (list, "Array"), (str, "String"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "Number")


def _flat(value: Any, shape: tuple[int, ...]) -> list[Any] | None:
    """Return what is in lists nested as `shape` says, row-major; None: they are nested otherwise."""
    if not shape:
        return [value]
    level: list[Any] = value
    for size in shape[1:]:
        if not set(map(type, level)) <= {list} or not set(map(len, level)) <= {size}:
            return None
        level = list(chain.from_iterable(level))
    return level


def _convert(flat: list[Any], dtype: np.dtype[Any], *, literals: bool) -> NDArray[Any] | None:
    """Return numbers or truth values as an array of `dtype`; None: one of them is of another type or out of range.

    No conversion here loops in Python, and none but bool's tells `True` from 1, so types are looked at where `literals`
    says that there may be some.
    """
    if (dtype.kind in "bO" or literals) and not set(map(type, flat)) <= _TYPES[dtype.kind]:
        return None
    try:
        return _unchecked(flat, dtype)
    except (OverflowError, TypeError, ValueError):
        return None


def _unchecked(flat: list[Any], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    if dtype == BYTES:
        return texts([_text(value) for value in flat])
    if dtype.kind == "b" or not flat:
        return np.array(flat, dtype)
    if dtype.kind == "f":
        return _floats(flat, dtype)
    if dtype == np.uint8:  # five times as quick as the others
        return np.frombuffer(bytes(flat), np.uint8)
    return np.frombuffer(array(_CODES[dtype.kind, dtype.itemsize], flat), dtype)


def texts(values: list[bytes]) -> NDArray[Any]:
    """Return `values` as an array of one axis; numpy itself would look into them."""
    array = np.empty(len(values), BYTES)
    array[:] = values
    return array


def _text(value: str | dict[str, str]) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if not is_b64(value):
        msg = "not bytes in base64"
        raise ValueError(msg)
    return base64.b64decode(value["b64"], validate=True)


def _floats(flat: list[Any], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """Return `flat` as floats; None: a number is beyond what `dtype` holds. NaN and infinities stay what they are."""
    values = np.frombuffer(array("d", flat), np.float64)
    if dtype == np.float64:
        return values
    with np.errstate(over="ignore"):
        narrow = values.astype(dtype)
    # only the largest of them can have come from a number that is larger still
    if narrow.size and not np.abs(narrow).max() < np.finfo(dtype).max and _beyond(values, dtype):
        return None
    return narrow


def _beyond(values: NDArray[np.float64], dtype: np.dtype[Any]) -> bool:
    return bool((np.isfinite(values) & (np.abs(values) > np.finfo(dtype).max)).any())


def _refuse(value: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NoReturn:
    """Raise what is wrong with the first value, in row-major order, that does not fit `shape` or `dtype`."""
    for level in range(len(shape) + 1):
        _check_level(value, level, shape)
        if level < len(shape):
            value = _first_wrong(value, shape[level + 1 :], dtype)
    _refuse_scalar(value, dtype)


def _check_level(value: Any, level: int, shape: tuple[int, ...]) -> None:
    if not isinstance(value, list):
        if level == len(shape):
            return
        where = f"incorrect level: {level + 1} in the JSON DOM. Expected at level: {len(shape)}"
        msg = f"JSON Value: {text(value)} found at {where}"
        raise TensorError(msg)
    if level >= len(shape):
        msg = f"Encountered list at unexpected level: {level} expected < {len(shape)}"
        raise TensorError(msg)
    if len(value) != shape[level]:
        msg = f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        raise TensorError(msg)


def _first_wrong(items: list[Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Return the first of `items`, one of which is wrong, that is no tensor of `shape`: halves are tried, not items."""
    while len(items) > 1:
        half = items[: len(items) // 2]
        flat = _flat(half, (len(half), *shape))
        fits = flat is not None and _convert(flat, dtype, literals=True) is not None
        items = items[len(half) :] if fits else half
    return items[0]


def _refuse_scalar(value: Any, dtype: np.dtype[Any]) -> NoReturn:
    if dtype.kind == "f" and isinstance(value, int | float) and not isinstance(value, bool):
        msg = f"Cannot convert JSON value: {text(value)} to {TYPE_NAMES[dtype.name]} without loss of precision."
        raise TensorError(msg)
    wanted = TYPE_NAMES.get(dtype.name, dtype.name)
    msg = f"JSON Value: {text(value)} Type: {json_type(value)} is not of expected type: {wanted}"
    raise TensorError(msg)


def shape_text(shape: Iterable[int | str]) -> str:
    """Return a shape as messages say it."""
    return f"[{','.join(map(str, shape))}]"
