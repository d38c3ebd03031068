"""From JSON values and bytes to arrays, with TF Serving's own words for what is wrong.

Source: tensorflow_serving/util/json_tensor.cc (2.20), whose messages clients and their tests know.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_RANK = 32
MAX_TEXT = 200
TYPE_NAMES = {"float32": "float", "float64": "double"}
_ENCODER = json.JSONEncoder(indent=4)


class TensorError(ValueError):
    """A value is not a tensor of the expected dtype or shape."""


@dataclass(frozen=True)
class TensorSpec:
    """What a protocol says of a tensor: its name, its dtype, and its shape without the batch axis."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    value_range: tuple[float, float] | None = None

    def check(self, array: NDArray[Any], max_batch: int) -> NDArray[Any]:
        """Return `array` if it is a batch of samples: shape `(N, *shape)`, N from 1 to `max_batch`, values in range.

        Raises:
            TensorError: it is not.
        """
        if array.ndim != len(self.shape) + 1 or array.shape[1:] != self.shape:
            msg = f"input {self.name!r} has shape {_shape(array.shape)}, expected {_shape((-1, *self.shape))}"
            raise TensorError(msg)
        if not len(array):
            msg = f"input {self.name!r} holds no samples"
            raise TensorError(msg)
        if len(array) > max_batch:
            msg = f"Task size {len(array)} is larger than maximum input batch size {max_batch}"
            raise TensorError(msg)
        self._check_values(array)
        return array

    def _check_values(self, array: NDArray[Any]) -> None:
        """NaN passes: TF Serving takes it, and what it means is the model's affair."""
        if self.value_range is None:
            return
        low, high = self.value_range
        outside = (array < low) | (array > high)
        if outside.any():
            msg = f"input {self.name!r} holds {array[outside][0].item()!r}; allowed: {low:g} to {high:g}"
            raise TensorError(msg)


def dense(value: Any, dtype: np.dtype[Any], *, has_literals: bool = True) -> NDArray[Any]:
    """Return the JSON `value` (a scalar, or lists nested evenly) as an array of `dtype`.

    Args:
        value: what the JSON parser gave.
        dtype: bool, an integer or a float dtype.
        has_literals: whether `true` or `false` may be somewhere in the value; numpy takes them for numbers.

    Raises:
        TensorError: a value is of another type or out of range, or the lists are nested unevenly.
    """
    quick = None if has_literals or dtype.kind == "b" else _quick(value, dtype)
    return _walk(value, dtype) if quick is None else quick


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


def from_bytes(data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return little-endian, row-major `data` as an array of `shape`, whose first axis may be -1.

    Raises:
        TensorError: the length does not fit.
    """
    size = math.prod(abs(axis) for axis in shape) * dtype.itemsize
    fits = len(data) % size == 0 if size and shape and shape[0] == -1 else len(data) == size
    if not fits:
        msg = f"{len(data)} bytes do not fit {dtype.name} of shape {_shape(shape)} ({size} bytes)"
        raise TensorError(msg)
    array = np.frombuffer(data, dtype.newbyteorder("<")).reshape(shape).astype(dtype, copy=False)
    if dtype.kind == "b" and (array.view(np.uint8) > 1).any():
        msg = "a bool is neither 0 nor 1"
        raise TensorError(msg)
    return array


def text(value: Any) -> str:
    """Return `value` as JSON text, cut short, for an error message."""
    shown = ""
    try:
        for piece in _ENCODER.iterencode(value):
            shown += piece
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


def _quick(value: Any, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """Return what `_walk` would, or None where numpy alone cannot tell; then `_walk` does, and finds the words."""
    try:
        array = np.array(value)
    except (ValueError, OverflowError, TypeError, RecursionError):
        return None
    if array.dtype.kind not in ("iu" if dtype.kind in "iu" else "iuf") or not array.size or array.ndim > MAX_RANK:
        return None
    limits = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    finite = array if array.dtype.kind in "iu" else array[np.isfinite(array)]
    if finite.size and (finite.min() < limits.min or finite.max() > limits.max):
        return None
    return array.astype(dtype)


def _walk(value: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    shape = _shape_of(value)
    if len(shape) > MAX_RANK:
        msg = f"Encountered list at unexpected level: {MAX_RANK} expected < {MAX_RANK}"
        raise TensorError(msg)
    flat: list[Any] = []
    _fill(value, 0, shape, dtype, flat)
    return np.array(flat, dtype).reshape(shape)


def _shape_of(value: Any) -> tuple[int, ...]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


def _fill(value: Any, level: int, shape: tuple[int, ...], dtype: np.dtype[Any], flat: list[Any]) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            where = f"incorrect level: {level + 1} in the JSON DOM. Expected at level: {len(shape)}"
            msg = f"JSON Value: {text(value)} found at {where}"
            raise TensorError(msg)
        flat.append(_scalar(value, dtype))
        return
    if level >= len(shape):
        msg = f"Encountered list at unexpected level: {level} expected < {len(shape)}"
        raise TensorError(msg)
    if len(value) != shape[level]:
        msg = f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        raise TensorError(msg)
    for item in value:
        _fill(item, level + 1, shape, dtype, flat)


def _scalar(value: Any, dtype: np.dtype[Any]) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if dtype.kind == "f":
        if number and _fits_float(value, dtype):
            return float(value)
        if number:
            msg = f"Cannot convert JSON value: {text(value)} to {TYPE_NAMES[dtype.name]} without loss of precision."
            raise TensorError(msg)
    elif dtype.kind == "b":
        if isinstance(value, bool):
            return value
    elif number and isinstance(value, int) and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
        return value
    wanted = TYPE_NAMES.get(dtype.name, dtype.name)
    msg = f"JSON Value: {text(value)} Type: {json_type(value)} is not of expected type: {wanted}"
    raise TensorError(msg)


def _fits_float(value: float, dtype: np.dtype[Any]) -> bool:
    if isinstance(value, float) and not math.isfinite(value):
        return True
    return bool(abs(value) <= float(np.finfo(dtype).max))


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"
