"""What a plugin does with a hook, without a project: one that registers a component, and what its hook tells of that."""

from __future__ import annotations

import re
import typing
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy
import pytest

from modelyard import hookimpl
from modelyard.component import Component, Source
from modelyard.errors import PluginError
from modelyard.hookspecs import HOOKS, MODULES, ComponentTraits
from modelyard.plugins.register import registered

SOURCE = Source("test", "project", Path(__file__))


def manager(*plugins: ModuleType) -> pluggy.PluginManager:
    """Return what calls the hooks of `plugins`; a hook that there is not is an error."""
    made = pluggy.PluginManager("modelyard")
    for module in MODULES:
        made.add_hookspecs(module)
    for number, plugin in enumerate(plugins):
        made.register(plugin, name=f"plugin {number}")
    made.check_pending()
    return made


def plugin(**hooks: Any) -> ModuleType:
    """Return a plugin with these hooks, each called by its name without `modelyard_`."""
    made = ModuleType("plugin")
    for name, hook in hooks.items():
        setattr(made, f"modelyard_{name}", hookimpl(hook))
    return made


def register(kind: str, function: Any, **traits: Any) -> Component:
    """Return the component `one` of a kind, as a plugin registers it with the hook."""
    found: list[Component] = []

    def hook(register: Any) -> None:
        register("one", function, **traits)

    def take(name: str, function: Any, **traits: Any) -> None:
        found.append(registered(kind, name, function, traits, SOURCE))

    hooks = manager(plugin(**{f"register_{kind}s": hook})).hook
    getattr(hooks, f"modelyard_register_{kind}s")(register=take)
    [component] = found
    return component


def refusal(kind: str, function: Any, **traits: Any) -> str:
    """Return what a plugin is told that registers this."""
    with pytest.raises(PluginError) as caught:
        register(kind, function, **traits)
    return str(caught.value)


def traits_of(kind: str) -> Any:
    """Return the traits that `register` takes as the hook's type says, which is what a type checker goes by."""
    protocol = typing.get_type_hints(HOOKS[f"modelyard_register_{kind}s"])["register"]
    unpacked = typing.get_type_hints(protocol.__call__)["traits"]
    return typing.get_args(unpacked)[0]


def untold(traits: Any, *musts: Any) -> set[str]:
    """Return the traits of a kind that its documentation does not name, nor that of `musts`, which it has in common or must say."""
    text = "".join(one.__doc__ or "" for one in (traits, *musts))
    own = traits.__annotations__.keys() - ComponentTraits.__annotations__.keys()
    return {name for name in own if not re.search(rf"`{name}\b", text)}
