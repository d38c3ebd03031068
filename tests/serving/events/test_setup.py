"""`--events-setup` refuses what it cannot do; with real brokers it is tried in test_peer.py."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from modelyard.serving.errors import StartError
from modelyard.serving.events.setup import set_up
from modelyard.serving.settings import Settings

PLACES = {f"MODELYARD_EVENTS_{name}": name.lower() for name in ("INPUT", "OUTPUT", "GROUP")}


def settings(**values: Any) -> dict[str, Any]:
    return {**PLACES, **{f"MODELYARD_EVENTS_{name}": value for name, value in values.items()}}


def refused(variables: Any) -> str:
    with pytest.raises(StartError) as caught:
        set_up(Settings.read(variables), variables, "digits")
    return str(caught.value)


def test_a_client_without_another_side_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "one_sided", ModuleType("one_sided"))
    said = refused(settings(URL="spool://here", CLIENT="one_sided:open_source"))
    assert "the package 'one_sided' has no open_peer" in said
    assert "cannot be loaded" in refused(settings(URL="spool://here", CLIENT="no_such_client:open_source"))


def test_a_broker_that_refuses_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        async def open(self) -> None:
            msg = "not today"
            raise ConnectionError(msg)

        async def close(self) -> None:
            pass

    client = ModuleType("refusing")
    monkeypatch.setattr(client, "open_peer", lambda _: Refusing(), raising=False)
    monkeypatch.setitem(sys.modules, "refusing", client)
    said = refused(settings(URL="spool://here", CLIENT="refusing:open_source"))
    assert said == "MODELYARD_EVENTS_URL: spool://here: not today"
