"""What TF Serving does with a JSON value, one value after the other: slow, plain, and the measure of `tensors.dense`.

Source: tensorflow_serving/util/json_tensor.cc (2.20).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from modelyard.serving.tensors import MAX_RANK, TYPE_NAMES, json_type, text


class Refused(Exception):
    """The value is no tensor."""


def outcome(value: Any, dtype: np.dtype[Any]) -> np.ndarray | str:
    """Return the array that `value` is, or what is wrong with it."""
    shape = first_elements(value)
    if len(shape) > MAX_RANK:
        return f"Encountered list at unexpected level: {MAX_RANK} expected < {MAX_RANK}"
    flat: list[Any] = []
    try:
        fill(value, 0, shape, dtype, flat)
    except Refused as exc:
        return str(exc)
    return np.array(flat, dtype).reshape(shape)


def first_elements(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list):
        return ()
    return (len(value), *first_elements(value[0])) if value else (0,)


def fill(value: Any, level: int, shape: tuple[int, ...], dtype: np.dtype[Any], flat: list[Any]) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            where = f"incorrect level: {level + 1} in the JSON DOM. Expected at level: {len(shape)}"
            msg = f"JSON Value: {text(value)} found at {where}"
            raise Refused(msg)
        flat.append(scalar(value, dtype))
        return
    if level >= len(shape):
        msg = f"Encountered list at unexpected level: {level} expected < {len(shape)}"
        raise Refused(msg)
    if len(value) != shape[level]:
        sizes = f"{len(value)} at level: {level} expected size: {shape[level]}"
        msg = f"Encountered list at unexpected size: {sizes}"
        raise Refused(msg)
    for item in value:
        fill(item, level + 1, shape, dtype, flat)


def scalar(value: Any, dtype: np.dtype[Any]) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if dtype.kind == "f" and number:
        if isinstance(value, float) and not math.isfinite(value):
            return value
        if abs(value) <= float(np.finfo(dtype).max):
            return float(value)
        msg = f"Cannot convert JSON value: {text(value)} to {TYPE_NAMES[dtype.name]} without loss of precision."
        raise Refused(msg)
    if dtype.kind == "b" and isinstance(value, bool):
        return value
    if dtype.kind in "iu" and number and isinstance(value, int) and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
        return value
    wanted = TYPE_NAMES.get(dtype.name, dtype.name)
    msg = f"JSON Value: {text(value)} Type: {json_type(value)} is not of expected type: {wanted}"
    raise Refused(msg)
