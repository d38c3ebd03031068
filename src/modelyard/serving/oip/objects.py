"""What a JSON object holds, or that it does not hold it."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..tensors import TensorError, text

if TYPE_CHECKING:
    from collections.abc import Iterable


def as_object(value: Any, what: str) -> dict[str, Any]:
    """Return `value`, which messages call `what`, if it is an object.

    Raises:
        TensorError: it is none.
    """
    if not isinstance(value, dict):
        msg = f"{what} is {text(value)}, expected an object"
        raise TensorError(msg)
    return value


def parameters_of(value: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a request or of a tensor.

    Raises:
        TensorError: they are no object.
    """
    parameters = value.get("parameters")
    return {} if parameters is None else as_object(parameters, "'parameters'")


def flag(parameters: dict[str, Any], key: str, *, default: bool) -> bool:
    """Return whether a parameter is set.

    Raises:
        TensorError: it is neither true nor false.
    """
    value = parameters.get(key, default)
    if not isinstance(value, bool):
        msg = f"{key!r} is {text(value)}, expected true or false"
        raise TensorError(msg)
    return value


def names(specs: Iterable[str]) -> str:
    """Return the names of tensors as messages write them."""
    return ", ".join(map(repr, specs))
