"""How a client connects with Kafka, and how what goes wrong there is told.

Source: aiokafka, which says by its log alone why it cannot connect.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import (
    ConsumerStoppedError,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import TypeVar

    from modelyard.serving.events.source import Place

    T = TypeVar("T")

WAIT_S, CONNECT_S, CONFIRM_S, LEAVE_S = 1.0, 5.0, 5.0, 5.0
MOST_BYTES = 1 << 30
BATCH_BYTES = 1 << 18
"""Several answers are sent together up to this; brokers take a mebibyte, if they are not told otherwise."""
SASL = ("plain", "scram-sha-256", "scram-sha-512")
FAILURES = (KafkaError, ConsumerStoppedError, OSError, TimeoutError)
CLOSED = (
    " by the broker, which says no more; it may want TLS (kafkas://), or none (kafka://), a user name and a password,"
    " or to be shown them otherwise (sasl)"
)
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


class Said(logging.Handler):
    """Keeps what each client logs last: why it cannot connect, it says nowhere else.

    Several clients may be at work in one process, so that it is kept by who is at work: the tasks that a client starts
    have the context that it was started in.
    """

    def __init__(self) -> None:
        """Keep warnings, and what is worse."""
        super().__init__(logging.WARNING)
        self._client: ContextVar[tuple[str, str] | None] = ContextVar("client", default=None)
        self._last: dict[tuple[str, str] | None, str] = {}

    def begin(self, place: Place) -> None:
        """Take what is logged from here on as said by the client of this place, which has said nothing so far."""
        self._client.set((place.url, place.member))
        self._last.pop((place.url, place.member), None)

    def last(self, place: Place) -> str:
        """Return what the client of this place logged last since it began; nothing, as a rule."""
        return self._last.get((place.url, place.member), "")

    def emit(self, record: logging.LogRecord) -> None:
        self._last[self._client.get()] = record.getMessage()


SAID = Said()
_LOG = logging.getLogger("aiokafka")
_LOG.propagate = False  # every failure is raised where it is met, too
_LOG.addHandler(SAID)


def producer_of(place: Place, transactional_id: str | None = None) -> Any:
    """Return a producer that is to be started, and counts as sent what all replicas that are in step have."""
    given = client_settings(place)
    given["request_timeout_ms"] = int(1000 * CONFIRM_S)
    if transactional_id is not None:
        given["transactional_id"] = transactional_id
    return AIOKafkaProducer(**given, acks="all", max_request_size=MOST_BYTES, max_batch_size=BATCH_BYTES)


def client_settings(place: Place) -> dict[str, Any]:
    """Return how a client connects, with user name and password as they are now."""
    url, (username, password) = urlsplit(place.url), place.login()
    is_tls = url.scheme == "kafkas"
    given: dict[str, Any] = {
        "bootstrap_servers": url.netloc if url.port else f"{url.netloc}:{9093 if is_tls else 9092}",
        "client_id": place.member,
        "security_protocol": ("SASL_" if password else "") + ("SSL" if is_tls else "PLAINTEXT"),
        "request_timeout_ms": int(1000 * max(CONNECT_S, 10 * WAIT_S)),
    }
    if is_tls:
        given["ssl_context"] = place.tls.context()
    if password:
        mechanism = os.environ.get("MODELYARD_EVENTS_SASL", SASL[0]).upper()
        given |= {"sasl_mechanism": mechanism, "sasl_plain_username": username or "", "sasl_plain_password": password}
    return given


def problem_of(place: Place, told: asyncio.Future[Any] | Exception | None) -> Exception | None:
    """Return what the broker has against something that was sent, or is still being sent."""
    if isinstance(told, asyncio.Future):
        if not told.done():
            return ConnectionError("no confirmation of what was sent")
        told = ConnectionError("what was sent was given up") if told.cancelled() else told.exception()  # type: ignore[assignment]
    if isinstance(told, _TOO_LARGE):
        return ValueError("larger than the broker takes")
    return broken(place, told) if told is not None else None  # type: ignore[arg-type]


async def topic_of(client: Any, place: Place, topic: str) -> None:
    """Return once the client knows a topic, which the broker may make when it is named.

    Raises:
        ConnectionError: there is none.
    """
    known = client._client if isinstance(client, AIOKafkaConsumer) else client.client  # noqa: SLF001 - no other way
    if known.cluster.partitions_for_topic(topic):
        return
    try:
        await asyncio.wait_for(known._wait_on_metadata(topic), CONNECT_S)  # noqa: SLF001
    except FAILURES as exc:
        msg = f"{place.url}: no topic {topic!r}; make it, with a partition for each server that is to share the work"
        raise ConnectionError(msg) from exc


async def left(client: Any) -> None:
    """Have a client leave, if there is one; the broker finds out by itself, later, if it does not hear it."""
    if client is not None:
        with contextlib.suppress(*FAILURES):
            await asyncio.wait_for(client.stop(), LEAVE_S)


async def tried(place: Place, step: Awaitable[T]) -> T:
    """Return what `step` does; what Kafka says is told as others tell it."""
    SAID.begin(place)
    try:
        return await step
    except ConnectionError:
        raise
    except FAILURES as exc:
        raise broken(place, exc) from exc


def broken(place: Place, exc: BaseException) -> ConnectionError:
    """Return what went wrong, as others tell it."""
    if isinstance(exc, ConnectionError):
        return exc
    said = str(exc) or type(exc).__name__
    if isinstance(exc, (KafkaConnectionError, TimeoutError)):
        said = SAID.last(place) or said
    said = " ".join(said.split())
    if said.endswith(" closed"):
        said += CLOSED
    return ConnectionError(f"{place.url}: {said}")
