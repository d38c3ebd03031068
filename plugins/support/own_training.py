"""What functions of the project's own give to a training: figures of a step, and callbacks. Imports no framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from modelyard.errors import PluginError
from modelyard_plugins.support.own_function import own_function

if TYPE_CHECKING:
    from modelyard.contexts import TrainContext

Step = Callable[[Any, Any, Any, Any], Mapping[str, Any]]
"""`step(model, optimizer, inputs, targets)` moves the weights, and returns the figures of the batch by their names."""


def _step_figures(name: str, returned: Any) -> dict[str, Any]:
    """Return what a step of the project's own returned, if those are figures by their names.

    Args:
        name: what the configuration calls the function, for messages.
        returned: scalars of the framework, or numbers, by their names.

    Raises:
        PluginError: it is something else.
    """
    if isinstance(returned, Mapping) and returned and all(map(_is_name, returned)):
        return dict(returned)
    found = f"{list(returned)!r:.60} by name" if isinstance(returned, Mapping) else f"a {type(returned).__name__}"
    msg = (
        f"[tool.modelyard.train]: key 'step': {name} returned {found}, not figures by their names\n"
        "  return a dict, for instance {\"loss\": loss}; each name an identifier, and not 'epoch'"
    )
    raise PluginError(msg)


def own_step(name: str) -> Step | None:
    """Return the step of the project's function called `name`, its figures checked; None if it is empty."""
    step = own_function(name, "step")
    if step is None:
        return None
    return lambda *given: _step_figures(name, step(*given))


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and name.isidentifier() and name != "epoch"


def callbacks_of(name: str, context: TrainContext) -> list[Any]:
    """Return the callbacks that the project's function called `name` makes; none if it is empty.

    Raises:
        PluginError: it returned something else than a list.
    """
    make = own_function(name, "callbacks")
    if make is None:
        return []
    found = make(context)
    if isinstance(found, list | tuple):
        return list(found)
    msg = f"[tool.modelyard.train]: key 'callbacks': {name} returned a {type(found).__name__}\n  return a list of callbacks"
    raise PluginError(msg)
