"""How the parts of `model.json` are read and checked. A part that lacks a key raises `KeyError`, one that is wrong `ValueError` or `TypeError`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .tensor_facts import ACTIVATIONS, BYTES, DTYPES, Input, Output, Preprocessing, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

Tensor = TypeVar("Tensor", Input, Output)


def each(key: str, data: Any, read: Callable[[Mapping[str, Any]], Tensor]) -> Iterator[Tensor]:
    """Yield what `read` makes of each of the list `data`, whose names differ.

    Raises:
        ValueError: it is no list of objects, or two have one name.
    """
    if not isinstance(data, list) or not data or not all(isinstance(one, dict) for one in data):
        msg = f"{key}: {data!r:.80} is not a list of objects"
        raise ValueError(msg)
    names: list[str] = [str(one["name"]) for one in data]
    if len(set(names)) < len(names):
        msg = f"{key}: a name is there twice: {', '.join(map(repr, names))}"
        raise ValueError(msg)
    yield from map(read, data)


def read_input(data: Mapping[str, Any]) -> Input:
    """Return one tensor of a raw sample."""
    return Input(
        name=str(data["name"]),
        dtype=_dtype(data["dtype"]),
        shape=_shape(data["shape"]),
        preprocessing=_preprocessing(data.get("preprocessing", {})),
        value_range=_value_range(data.get("value_range")),
        tensor=str(data.get("tensor", "")),
        overlap=int(data.get("overlap", 0)),
    )


def read_state(data: Mapping[str, Any]) -> State:
    """Return an input that nobody sends: what an output was at the step before."""
    axis = data.get("batch_axis", 0)
    return State(
        tensor=str(data["tensor"]),
        source=str(data["source"]),
        dtype=_dtype(data["dtype"]),
        shape=_shape(data["shape"]),
        batch_axis=None if axis is None else int(axis),
        initial=float(data.get("initial", 0.0)),
    )


def read_constant(value: Any, dtype: Any) -> NDArray[Any]:
    """Return a constant as an array; ONNX Runtime takes texts as they are."""
    array = np.asarray(value, _dtype(dtype))
    if array.dtype.kind in "iu" and (np.asarray(value) != array).any():
        msg = f"constants: {value!r} is no {dtype}"
        raise ValueError(msg)
    return array


def read_output(data: Mapping[str, Any]) -> Output:
    """Return one tensor that the model answers."""
    activation = _one_of("activation", data.get("activation", "none"), tuple(ACTIVATIONS))
    return Output(
        name=str(data["name"]),
        dtype=_dtype(data.get("dtype", "float32")),
        shape=_shape(data["shape"]),
        activation="none" if data.get("inside") is True else activation,
        labels=tuple(str(name) for name in data.get("labels", ())),
        tensor=str(data.get("tensor", "")),
        batch_axis=None if data.get("batch_axis", 0) is None else 0,
    )


def _dtype(value: Any) -> np.dtype[Any]:
    name = _one_of("dtype", value, DTYPES)
    return BYTES if name == "bytes" else np.dtype(name)


def _shape(value: Any) -> tuple[Any, ...]:
    return tuple(axis if isinstance(axis, str) else whole("shape", axis) for axis in value)


def _preprocessing(data: Mapping[str, Any]) -> Preprocessing:
    return Preprocessing(
        scale=float(data.get("scale", 1.0)),
        mean=tuple(float(value) for value in data.get("mean", (0.0,))),
        std=tuple(float(value) for value in data.get("std", (1.0,))),
    )


def _value_range(data: Any) -> tuple[float, float] | None:
    if data is None:
        return None
    low, high = data
    return float(low), float(high)


def whole(key: str, value: Any) -> int:
    """Return `value`, a whole number from 1, which `key` says."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        msg = f"{key}: {value!r} is not a whole number from 1"
        raise ValueError(msg)
    return value


def _one_of(key: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        msg = f"{key}: {value!r}; allowed: {', '.join(allowed)}"
        raise ValueError(msg)
    return str(value)
