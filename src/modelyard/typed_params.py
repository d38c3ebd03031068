"""Functions that take their configuration as one struct, `params`, instead of many keyword-only parameters."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import msgspec


def struct_of(function: Callable[..., Any]) -> type[msgspec.Struct] | None:
    """Return the type of `params`, if that is the one keyword-only parameter of `function` and a struct; else None."""
    plain = inspect.unwrap(function)
    code = getattr(plain, "__code__", None)
    if code is None or code.co_kwonlyargcount != 1 or code.co_varnames[code.co_argcount] != "params":
        return None
    annotation = plain.__annotations__.get("params")
    found = plain.__globals__.get(annotation) if isinstance(annotation, str) else annotation
    return found if isinstance(found, type) and issubclass(found, msgspec.Struct) else None


@functools.cache
def taking_values(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that takes each field of the struct that `function` takes as a keyword; others as they are.

    A field that is left out is at its default. Of one function it is the same each time: plans that were made apart are then
    equal where they say the same.
    """
    struct = struct_of(function)
    if struct is None:
        return function

    @functools.wraps(function)
    def call(*arguments: Any, **values: Any) -> Any:
        return function(*arguments, params=struct(**values))

    return call
