"""A loss of the project's own, that a trainer's `loss` names: `module:function`. Imports no framework."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from modelyard.errors import PluginError, did_you_mean, listing

if TYPE_CHECKING:
    from collections.abc import Callable


def scripts(*, loss: str, **_: Any) -> tuple[str, ...]:
    """Return the project's file that the loss is in: its code counts, with all that it imports."""
    module = loss.partition(":")[0]
    return (f"{module.replace('.', '/')}.py",) if module else ()


def own_loss(name: str) -> Callable[[Any, Any], Any] | None:
    """Return the function that `name`, `module:function`, stands for; None if it is empty.

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
        msg = f"[tool.modelyard.train]: key 'loss': {module} has no function {function!r}{near}\n  it has: {listing(known)}"
        raise PluginError(msg)
    loss: Callable[[Any, Any], Any] = getattr(found, function)
    return loss
