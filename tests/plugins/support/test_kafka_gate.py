"""Who comes through the gate before a broker: a real client, to a real broker, as a check starts both."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from modelyard.launch import local_broker
from modelyard_plugins.sources import kafka as source
from modelyard_plugins.support import kafka_gate

conn = pytest.importorskip("aiokafka.conn", reason="needs the extra kafka")
errors = pytest.importorskip("aiokafka.errors")

from aiokafka.protocol.metadata import MetadataRequest  # noqa: E402 - it is there if they are

MECHANISMS = kafka_gate.MECHANISMS


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Gives the broker that a check starts."""
    use: Any = SimpleNamespace(component=SimpleNamespace(name="kafka", broker=source.broker), params={})
    if why := local_broker.lack(use):
        missing = pytest.fail if os.environ.get("MODELYARD_REQUIRE_SERVICES") else pytest.skip
        missing(f"needs a broker: {why}")
    folder = tmp_path_factory.mktemp("gate")
    with local_broker.started(use, folder, folder / "log") as broker:
        yield broker


def asked(broker: Any, **sasl: str) -> Any:
    """Return what the broker says of its topics to a client with these settings."""
    trusted = ssl.create_default_context(cafile=broker.files / "ca.crt")
    port = urlsplit(broker.url).port
    given = {f"sasl_{name}": value for name, value in sasl.items()}

    async def connected() -> Any:
        protocol = "SASL_SSL" if sasl else "SSL"
        connection = await conn.create_conn(
            "127.0.0.1", port, security_protocol=protocol, ssl_context=trusted, request_timeout_ms=10_000, **given
        )
        try:
            return await connection.send(MetadataRequest([]))
        finally:
            connection.close()

    return asyncio.run(connected())


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_who_has_the_password_speaks_with_the_broker(gate: Any, mechanism: str) -> None:
    password = (gate.files / "password").read_text()
    assert asked(gate, mechanism=mechanism, plain_username="check", plain_password=password).brokers


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize(("user", "file"), [("check", "wrong"), ("bob", "password")])
def test_who_has_another_is_refused(gate: Any, mechanism: str, user: str, file: str) -> None:
    password = (gate.files / file).read_text()
    with pytest.raises(errors.KafkaError, match="Authentication failed"):
        asked(gate, mechanism=mechanism, plain_username=user, plain_password=password)


def test_who_shows_none_is_left_alone(gate: Any) -> None:
    with pytest.raises(errors.KafkaConnectionError):
        asked(gate)


@pytest.mark.parametrize("said", [b"", b"n,,", b"n,,n=ann", b"\xff", b"n,,n=ann,r=1", b"\0ann", b"y,,n=ann,r=1,x"])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_what_is_no_exchange_is_refused(mechanism: str, said: bytes) -> None:
    steps = kafka_gate.exchange(mechanism, "ann", "s3cret")
    next(steps)

    def twice() -> None:
        steps.send(said)
        steps.send(said)

    with pytest.raises((kafka_gate.Refused, ValueError, KeyError)):
        twice()
