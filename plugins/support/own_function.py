"""Functions of the project's own that a trainer's parameters name: `module:function`. Imports no framework."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from modelyard.errors import PluginError, did_you_mean, listing

if TYPE_CHECKING:
    from collections.abc import Callable


def own_function(name: str, key: str) -> Callable[..., Any] | None:
    """Return the function that `name`, `module:function`, stands for; None if it is empty.

    Args:
        name: what the configuration says.
        key: the parameter that says it, for messages.

    Raises:
        PluginError: the module has no such function.
    """
    if not name:
        return None
    module, _, function = name.partition(":")
    found = importlib.import_module(module)
    if not callable(getattr(found, function, None)):
        known = [one for one, value in vars(found).items() if callable(value) and not one.startswith("_")]
        near = did_you_mean(function, known)
        msg = f"[tool.modelyard.train]: key {key!r}: {module} has no function {function!r}{near}\n  it has: {listing(known)}"
        raise PluginError(msg)
    named: Callable[..., Any] = getattr(found, function)
    return named
