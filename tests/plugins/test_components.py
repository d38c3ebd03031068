from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.component import Component, Source
from modelyard.plugins.components import Components, OfKind


def component(kind: str, name: str) -> Component:
    return Component(kind, name, print, Source("test", "project", Path("test.py")))


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def components(asked: list[str]) -> Components:
    """A target that is there, and two model optimizers that wait."""
    found = Components()
    found["target", "here"] = component("target", "here")
    for name in ("one", "two"):
        found.wait(("optimizer", name), lambda name=name: asked.append(name) or component("optimizer", name))  # type: ignore[misc]
    return found


def test_what_waits_is_made_once_when_it_is_asked_for(components: Components, asked: list[str]) -> None:
    assert list(components) == [("optimizer", "one"), ("optimizer", "two"), ("target", "here")]
    assert ("optimizer", "one") in components
    assert ("optimizer", "three") not in components
    assert asked == []
    assert components["optimizer", "two"].name == "two"
    assert components["optimizer", "two"] is components["optimizer", "two"]
    assert asked == ["two"]
    assert len(components) == len(list(components.values())) == 3
    assert asked == ["two", "one"]


def test_what_is_replaced_or_removed_is_not_made(components: Components, asked: list[str]) -> None:
    mine = components["optimizer", "one"] = component("optimizer", "one")
    del components["optimizer", "two"]
    assert components["optimizer", "one"] is mine
    with pytest.raises(KeyError):
        components["optimizer", "two"]
    assert asked == []


def test_those_of_a_kind_are_made_one_by_one(components: Components, asked: list[str]) -> None:
    optimizers = OfKind(components, "optimizer")
    assert (list(optimizers), len(optimizers), "one" in optimizers) == (["one", "two"], 2, True)
    assert optimizers["two"].name == "two"
    assert asked == ["two"]
    with pytest.raises(KeyError):
        optimizers["here"]
