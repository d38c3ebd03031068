"""The outputs of an answer, in rows or in columns."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from ..tensor_facts import BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def written(outputs: Mapping[str, Any], *, rows: bool) -> dict[str, Any]:
    """Return the body that carries `outputs`: in rows, one a sample, or in columns; of several, each has its name."""
    columns = {name: _json_values(name, array) for name, array in outputs.items()}
    if len(columns) == 1:
        (column,) = columns.values()
        return {"predictions": column} if rows else {"outputs": column}
    if not rows:
        return {"outputs": columns}
    return {"predictions": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]}


def is_finite(array: NDArray[Any]) -> bool:
    """Whether JSON can carry every number of `array`."""
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _json_values(name: str, array: Any) -> Any:
    """Return an output as orjson writes it; texts as text, those of an output named `..._bytes` and other bytes as base64."""
    if not isinstance(array, np.ndarray):
        return array
    if array.dtype == BYTES:
        return _nested(
            [_json_text(one, encoded=name.endswith("_bytes")) for one in array.ravel().tolist()], array.shape
        )
    if (
        array.ndim == 1 and array.dtype.kind != "f"
    ):  # in rows they stand alone, where orjson does not know all of numpy's
        return array.tolist()
    return np.ascontiguousarray(array.astype(np.float32) if array.dtype == np.float16 else array)


def _json_text(value: bytes, *, encoded: bool) -> str | dict[str, str]:
    try:
        if not encoded:
            return value.decode()
    except UnicodeDecodeError:
        pass
    return {"b64": base64.b64encode(value).decode()}


def _nested(values: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """Return `values`, row-major, as lists in one another."""
    for size in reversed(shape[1:]):
        values = [values[at : at + size] for at in range(0, len(values), size)]
    return values


def as_lists(array: NDArray[Any]) -> Any:
    """Return numbers as lists of the shortest numbers, as orjson writes them, with NaN and infinities among them."""
    if array.dtype == BYTES:
        return array
    array = array.astype(np.float32) if array.dtype == np.float16 else np.ascontiguousarray(array)
    shortest = orjson.loads(
        orjson.dumps(np.nan_to_num(array) if array.dtype.kind == "f" else array, option=orjson.OPT_SERIALIZE_NUMPY)
    )
    for place in () if is_finite(array) else np.argwhere(~np.isfinite(array)):
        row = shortest
        for axis in place[:-1]:
            row = row[axis]
        row[place[-1]] = float(array[tuple(place)])
    return shortest
