from __future__ import annotations

from types import SimpleNamespace

import pluggy
import pytest

from modelyard import hookimpl
from modelyard.hookspecs.marker import hookspec


def manager(project: str = "modelyard") -> pluggy.PluginManager:
    @hookspec
    def modelyard_tell(name: str, number: int) -> None: ...

    def modelyard_plain(name: str) -> None: ...

    made = pluggy.PluginManager(project)
    made.add_hookspecs(type("Hooks", (), {"modelyard_tell": modelyard_tell, "modelyard_plain": modelyard_plain}))
    return made


def test_what_is_marked_is_a_hook_of_which_a_plugin_takes_the_arguments_that_it_needs() -> None:
    told: list[str] = []

    def tell(name: str) -> None:
        told.append(name)

    found = manager()
    found.register(SimpleNamespace(modelyard_tell=hookimpl(tell)))
    found.hook.modelyard_tell(name="one", number=1)
    assert told == ["one"]
    assert not hasattr(found.hook, "modelyard_plain"), "what is not marked is none"


def test_an_argument_that_the_hook_has_not_is_refused() -> None:
    with pytest.raises(pluggy.PluginValidationError, match="nmae"):
        manager().register(SimpleNamespace(modelyard_tell=hookimpl(lambda nmae: None)))


def test_the_hooks_are_those_of_this_project_alone() -> None:
    with pytest.raises(ValueError, match="did not find any 'other' hooks"):
        manager("other")
