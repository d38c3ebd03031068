"""What a consumer is made of: its settings, and what they leave open."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
from tests.serving.events.quiet import Quiet
from tests.serving.small_models import LIMITS, served

from modelyard.serving.errors import StartError
from modelyard.serving.events.source import Place, Tls
from modelyard.serving.events.starting import consumer_of, place_of
from modelyard.serving.metrics import Board, Metrics
from modelyard.serving.mounted import Secrets
from modelyard.serving.settings import Settings

LEAST = {"URL": "spool://here", "CLIENT": "spool_of_test_starting:open_source", "INPUT": "in", "OUTPUT": "out"}


def variables(**values: str) -> dict[str, str]:
    return {f"MODELYARD_EVENTS_{name}": value for name, value in (LEAST | values).items()}


def place(worker: int = 0, name: str = "net", values: Mapping[str, str] = MappingProxyType({})) -> Place:
    return place_of(Settings.read(variables(**values)), lambda: ("ann", None), name, worker)


def test_what_is_not_said_follows_from_the_input_and_the_models_name() -> None:
    found = place(name="net.v2")
    assert (found.url, found.input, found.output, found.dead_letter) == ("spool://here", "in", "out", "in.dead")
    assert (found.group, found.client_id) == ("net-v2", "net-v2")
    assert (found.most, found.order, found.lease_s, found.tls) == (64, "none", 30.0, Tls())
    assert found.login() == ("ann", None)
    assert place_of(Settings.read(variables()), found.login, "net.v2") == found, "who sets up is no process of a server"


def test_what_is_said_is_taken(tmp_path: Path) -> None:
    ca, cert, key = (tmp_path / name for name in ("ca", "cert", "key"))
    for file in (ca, cert, key):
        file.touch()
    files = {"CA_FILE": str(ca), "CERT_FILE": str(cert), "KEY_FILE": str(key)}
    said = {"DEAD_LETTER": "dead", "GROUP": "g", "ORDER": "key", "MAX_IN_FLIGHT": "3", "ACK_WAIT_S": "9"}
    found = place(values=files | said)
    assert (found.dead_letter, found.group, found.client_id) == ("dead", "g", "g")
    assert (found.order, found.most, found.lease_s) == ("key", 3, 9.0)
    assert found.tls == Tls(ca, cert, key)


def test_each_process_has_a_name_that_it_has_again_when_it_is_started_anew() -> None:
    assert [place(worker).client_id for worker in range(3)] == ["net", "net-1", "net-2"]
    assert [place(worker, values={"CONSUMER": "one"}).client_id for worker in range(2)] == ["one", "one-1"]
    assert place(values={"CONSUMER": "one"}).group == "net"


def test_a_lease_is_long_enough_to_be_renewed() -> None:
    assert place(values={"ACK_WAIT_S": "0.2"}).lease_s == 1.0


def started(**values: str) -> Any:
    environment = variables(**values)
    settings, model = Settings.read(environment), served(name="net.v2")
    engine = cast("Any", SimpleNamespace())  # nothing comes, so it is not asked
    return consumer_of(
        settings, Secrets(settings, environment), model, engine, LIMITS, Metrics(Board(), 0, {}), 2, once=True
    )


def test_a_consumer_takes_from_the_clients_source_and_ends_once_there_is_no_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    places: list[Place] = []
    taken: list[list[str]] = []

    class Spool(Quiet):
        def __init__(self, place: Place) -> None:
            places.append(place)
            self.calls: list[str] = []
            taken.append(self.calls)

        async def take(self, most: int) -> list[Any]:
            self.calls.append(f"take {most}")
            return []

        async def close(self) -> None:
            self.calls.append("close")

    client = ModuleType("spool_of_test_starting")
    monkeypatch.setattr(client, "open_source", Spool, raising=False)
    monkeypatch.setitem(sys.modules, "spool_of_test_starting", client)
    (tmp_path / "password").write_text("secret\n")
    consumer = started(MAX_IN_FLIGHT="7", USERNAME="ann", PASSWORD_FILE=str(tmp_path / "password"))
    asyncio.run(asyncio.wait_for(consumer.run(1), 10))

    assert (places[0].group, places[0].client_id) == ("net-v2", "net-v2-2")
    assert places[0].login() == ("ann", "secret")
    (tmp_path / "password").write_text("another\n")
    assert places[0].login() == ("ann", "another"), "it is asked at each connection"
    assert taken == [["take 7", "take 7", "close"]]


def test_a_client_that_is_not_there_is_told() -> None:
    with pytest.raises(StartError, match="MODELYARD_EVENTS_CLIENT: 'no_such_client:open' cannot be loaded"):
        started(CLIENT="no_such_client:open")
