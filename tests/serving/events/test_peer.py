"""The other side of a broker: what it makes, what it sends, and what it hears."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.conftest import Running
from tests.serving.events.brokers import Broker, MqttBroker
from tests.standins.tls import free_port

from modelyard.errors import ToolError
from modelyard.kubernetes.event_triggers import stream_of
from modelyard.launch import events
from modelyard.serving.events.peer import Heard


@pytest.fixture
def broker(broker: Broker) -> Broker:
    """A broker that has no streams of the test's names."""
    if not broker.sets_up:
        pytest.skip("the broker makes a stream when one is named, and not otherwise")
    return broker


def settings(broker: Broker) -> dict[str, str]:
    return {**broker.settings, **broker.places, "EVENTS_DEAD_LETTER": broker.dead}


def variables(broker: Broker, **others: str) -> dict[str, str]:
    return {f"MODELYARD_{name}": value for name, value in {**settings(broker), **others}.items()}


def exchanged(sent: Any, wait_s: Any, heard: Any) -> Callable[..., Any]:
    """Return what sends the events by a peer, and then gives the ids of those that do not come back."""

    async def exchange(peer: Any) -> Any:
        await events.send(sent, peer)
        return await events.hear(sent, wait_s, heard, peer)

    return exchange


def set_up(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "modelyard.serving", "--events-setup"]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


def test_what_a_server_needs_is_made_and_then_it_answers_what_is_sent(
    broker: Broker,
    start: Callable[..., contextlib.AbstractContextManager[Running]],
    models: Path,
    raw: np.ndarray,
    expected: Callable[[Path, np.ndarray], np.ndarray],
) -> None:
    done = set_up(variables(broker))
    assert (done.returncode, done.stderr) == (0, "")
    assert repr(broker.input) in done.stdout
    assert set_up(variables(broker)).stdout == done.stdout

    samples = [events.event_of_sample({"pixels": one}, f"test-{number}") for number, one in enumerate(raw[:5])]
    poison = events.event(b"poison \x00\xff", "application/octet-stream", "poison")
    heard: dict[str, Heard] = {}
    with start(models / "float32", **settings(broker)) as server:
        exchange = exchanged([*samples, poison], 30, lambda one, cause: heard.__setitem__(cause, one))
        assert events.run(events.peer_of(variables(broker), "here"), exchange, "here") == []
        assert server.stop() == 0
    answers = [json.loads(heard[one.id].body)["predictions"][0] for one in samples]
    np.testing.assert_allclose(answers, expected(models / "float32", raw[:5]), atol=1e-6)
    dead = heard[poison.id]
    assert (dead.is_dead, dead.body, dead.headers["ce-errorreason"]) == (True, poison.body, "unprocessable")
    assert {name: dead.headers[name] for name in poison.headers} == poison.headers


def test_what_does_not_come_back_is_named(broker: Broker) -> None:
    assert set_up(variables(broker)).returncode == 0
    event = events.event(b"[]", "application/json", "lost")
    exchange = exchanged([event], 0.2, lambda *_: pytest.fail("nobody answers"))
    assert events.run(events.peer_of(variables(broker), "here"), exchange, "here") == [event.id]


def test_answers_to_others_stay_where_they_are(broker: Broker) -> None:
    if isinstance(broker, MqttBroker):
        pytest.skip("it keeps nothing that nobody has subscribed to")
    assert set_up(variables(broker)).returncode == 0
    event = events.event(b"[]", "application/json", "mine")
    answer = events.Event("9", {**event.headers, "ce-id": "9", "ce-causationid": "another's"}, b"{}")

    def to_output(place: Broker) -> dict[str, str]:
        return variables(broker, EVENTS_INPUT=place.output, EVENTS_OUTPUT=place.input)

    async def answered(peer: Any) -> None:
        await peer.send([answer])

    events.run(events.peer_of(to_output(broker), "here"), answered, "here")
    exchange = exchanged([event], 1, lambda *_: pytest.fail("nobody answers"))
    assert events.run(events.peer_of(variables(broker), "here"), exchange, "here") == [event.id]
    assert [one.data for one in broker.read(broker.output)] == [b"{}"]


def test_a_broker_that_is_not_there_is_named(broker: Broker) -> None:
    url = broker.url.rpartition(":")[0] + f":{free_port()}"
    done = set_up(variables(broker, EVENTS_URL=url))
    assert done.returncode == 2
    assert url.partition("://")[2] in done.stderr
    assert "Traceback" not in done.stderr
    with pytest.raises(ToolError, match="start the broker"):
        events.run(events.peer_of(variables(broker, EVENTS_URL=url), "here"), exchanged([], 0, lambda *_: None), "here")


def test_without_a_broker_there_is_nothing_to_set_up() -> None:
    done = set_up({})
    assert (done.returncode, "MODELYARD_EVENTS_URL is not set" in done.stderr) == (2, True)


def test_the_stream_that_is_made_is_the_one_that_keda_counts() -> None:
    peer = pytest.importorskip("modelyard_plugins.sources.nats_jetstream.peer")
    assert peer.stream_of("digits.in") == stream_of("digits.in") == "digits-in"
