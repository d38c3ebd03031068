"""What values mean is checked when the project is loaded: what a component's own `check` finds wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from modelyard.contexts import CheckContext, Problem
from modelyard.errors import ConfigError, PluginError, did_you_mean, listing
from modelyard.toml.places import KeyPlace, Place

if TYPE_CHECKING:
    from modelyard.component import Component
    from modelyard.config.config import Config

OWN = ("name", "version")
"""Keys of `[tool.modelyard]` that a problem may name beside the component's parameters."""
ITSELF = "use"
"""What a problem names that is with the component itself, whatever its parameters."""


def surroundings(config: Config) -> CheckContext:
    """Return what a `check` may know of a project."""
    runtime, params = config.uses["runtime"].component, config.uses["runtime"].params
    return CheckContext(
        name=config.name,
        version=config.version,
        runtime=runtime.name,
        brings_server=runtime.image is not None,
        base=runtime.base,
        reads_settings=runtime.reads_settings,
        event_schemes=config.events.component.schemes if config.events else {},
        takes_tokens=bool(params.get("events_oidc")),
        loss=config.uses["task"].component.loss if "task" in config.uses else "",
        outputs=tuple(config.several),
        losses=config.losses,
        models=tuple(f"{one.name}/{one.version}" for one in config.models),
    )


def problems(component: Component, params: Mapping[str, Any], context: CheckContext) -> list[Problem]:
    """Return what the component's `check` finds wrong with `params`; nothing if it has none.

    Raises:
        PluginError: it raised, or gave something else than problems with parameters of the component.
    """
    if component.check is None:
        return []
    where = f"the {component.kind} {component.name!r} ({component.source.file})"
    found = _called(component.check, params, context, where)
    for one in found:
        if not isinstance(one, Problem):
            msg = f"{where}: its check gave {one!r:.80}, which is no Problem\n  yield Problem(key, why, instead)"
            raise PluginError(msg)
        if one.key not in (known := (*params, ITSELF, *OWN)):
            msg = f"{where}: its check names the parameter {one.key!r}{did_you_mean(one.key, known)}\n  known: {listing(known)}"
            raise PluginError(msg)
    return found


def refuse(component: Component, params: Mapping[str, Any], context: CheckContext, where: str) -> None:
    """Refuse `params` if the component's `check` finds something wrong with them.

    Raises:
        ConfigError: it does; the message tells all that it found.
    """
    found = [
        told(one, value_of(one, component, params, context), where) for one in problems(component, params, context)
    ]
    if found:
        raise ConfigError("\n".join(found))


def value_of(problem: Problem, component: Component, params: Mapping[str, Any], context: CheckContext) -> Any:
    """Return the value that a problem is with: a parameter's, one of the project's own, or the component's name."""
    if problem.key in params:
        return params[problem.key]
    return component.name if problem.key == ITSELF else getattr(context, problem.key)


def _called(
    check: Callable[..., Iterable[Problem] | None], params: Mapping[str, Any], context: CheckContext, where: str
) -> list[Any]:
    try:
        return list(check(context, **params) or ())
    except Exception as exc:
        msg = f"{where}: its check raised {type(exc).__name__}: {exc}\n  it must take every value that the types allow"
        raise PluginError(msg) from exc


def told(problem: Problem, value: Any, where: Place) -> str:
    """Return a problem with `value` as text, in the words of a value of the wrong type.

    Args:
        problem: the problem.
        value: the parameter's value; None or an empty text: it was left out.
        where: the place of its table.
    """
    said = " is missing" if value in (None, "") else f": {value!r:.80} is not allowed"
    return f"{KeyPlace(where, problem.key)}{said}: {problem.why}\n  {problem.instead}"
