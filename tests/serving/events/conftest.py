"""Brokers that run for all tests of a session, and servers that take events from them."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.serving.conftest import Running
from tests.serving.events.brokers import BROKERS, Broker
from tests.shared import usual
from tests.standins.tls import certificate

NUMBERS = itertools.count()
SETTINGS = {"EVENTS_ACK_WAIT_S": "1", "EVENTS_ATTEMPTS": "50"}
"""Whoever is killed again and again counts as many tries as it was killed."""
MODEL = """
import os
import time
import numpy as np


class Odd:
    def predict(self, raw):
        if (raw == 16).all():
            raise RuntimeError('sixteen')
        if (raw == 14).all():
            os._exit(1)
        time.sleep(1.6 if (raw == 15).all() else {time_s})
        return np.full((len(raw), 10), 0.1, np.float32)


def open_model(folder, threads=1):
    return Odd()
"""
Serve = Callable[..., contextlib.AbstractContextManager[Running]]
"""How a test starts a server that takes events from its broker."""
Brokers = Callable[..., Broker]
"""How a fixture gets the broker of a kind."""


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    """Gives the broker of a kind, which is started when it is first asked for; one a session."""
    brokers: dict[tuple[type[Broker], bool], Broker] = {}

    def run(kind: type[Broker], *, secured: bool = False) -> Broker:
        if (kind, secured) not in brokers:
            folder = tmp_path_factory.mktemp(kind.__name__)
            if secured:
                certificate(folder, "IP:127.0.0.1,DNS:broker.example")  # and not for localhost
            broker = brokers[kind, secured] = kind(folder / "broker", folder if secured else None)
            broker.start()
        return brokers[kind, secured]

    yield run
    for broker in brokers.values():
        broker.kill()


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest, running: Brokers) -> Iterator[Broker]:
    yield from begun(running(BROKERS[request.param]))


def begun(broker: Broker) -> Iterator[Broker]:
    """Give a broker with streams of a test's own."""
    broker.begin(f"t{next(NUMBERS)}")
    yield broker
    broker.end()


@pytest.fixture(params=usual(sorted(BROKERS, key="amqp".__eq__), len(BROKERS) - 1))
def secured(request: pytest.FixtureRequest, running: Brokers) -> Iterator[Broker]:
    """A broker that speaks TLS alone and asks for a password; RabbitMQ takes longest to start, and is tried in thorough runs."""
    if not BROKERS[request.param].has_passwords:
        pytest.skip("the broker of that protocol that can be installed asks for no password")
    yield from begun(running(BROKERS[request.param], secured=True))


@pytest.fixture
def serve(
    broker: Broker, start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, tmp_path: Path
) -> Serve:
    """Starts a server that takes events from the broker; `time_s`: with another model, which takes so long."""

    def started(
        time_s: float | None = None, *arguments: str, **settings: str
    ) -> contextlib.AbstractContextManager[Running]:
        given = {**SETTINGS, **broker.settings, **broker.places, **settings}
        if time_s is None:
            return start(models / "float32", **given)
        (tmp_path / "odd.py").write_text(MODEL.format(time_s=time_s))
        command = [sys.executable, "-m", "modelyard.serving", *arguments]
        return start(models / "float32", command, tmp_path, BACKEND="odd:open_model", **given)

    return started
