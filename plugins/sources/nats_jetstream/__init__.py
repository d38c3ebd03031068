"""NATS JetStream: a durable consumer that is pulled from.

It is copied into images as it is, and imports nothing but its broker's client; see `modelyard.serving.events.source`.

Source: NATS, ADR-13 (pull consumers) and ADR-9 (acknowledgements); CloudEvents, bindings/nats-protocol-binding.md.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import nats
from nats.errors import Error as NatsError
from nats.errors import NoServersError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.api import ConsumerConfig
from nats.js.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence
    from typing import TypeVar

    from modelyard.serving.events.source import Ending, Place

    from .peer import Peer

    T = TypeVar("T")

WAIT_S, CONFIRM_S = 1.0, 5.0
FAILURES = (NatsError, OSError, TimeoutError)
_SUBJECT = re.compile(r"[^\s*>.]+(\.[^\s*>.]+)*")
_GROUP = re.compile(r"[A-Za-z0-9_-]+")
_KEEP = b"+WPI"
_LINE = 16
"""Bytes that a header field, or the block of them, takes beside what it says, at most."""


def open_source(place: Place) -> Nats:
    """Return what takes events from the stream of the subject `place.input`.

    Raises:
        ValueError: the place cannot be one of NATS; the message begins with the name of what is wrong with it.
    """
    url = urlsplit(place.url)
    if url.scheme not in ("nats", "tls") or not url.hostname or url.path.strip("/"):
        msg = f"URL: {place.url!r}; allowed: nats://HOST:PORT, or tls://HOST:PORT"
        raise ValueError(msg)
    for name, subject in (("INPUT", place.input), ("OUTPUT", place.output), ("DEAD_LETTER", place.dead_letter)):
        if not _SUBJECT.fullmatch(subject):
            msg = f"{name}: {subject!r}; allowed: a subject, words with '.' between them, without wildcards"
            raise ValueError(msg)
    if not _GROUP.fullmatch(place.group):
        msg = f"GROUP: {place.group!r}; allowed: letters, digits, '_', '-'"
        raise ValueError(msg)
    return Nats(place)


def open_peer(place: Place) -> Peer:
    """Return who sends events to the stream of the subject `place.input`, and hears what becomes of them."""
    from .peer import Peer

    open_source(place)  # refuses what can be no place
    return Peer(place)


class NatsDelivery:
    """A message of JetStream; see `modelyard.serving.events.source.Delivery`."""

    __slots__ = ("attempt", "body", "headers", "origin", "reply", "sent")

    def __init__(self, message: Any) -> None:
        self.sent: dict[str, str] = message.headers or {}
        self.headers: Mapping[bytes, bytes] = {key.lower().encode(): value.encode() for key, value in self.sent.items()}
        self.body: bytes = message.data
        self.reply: str = message.reply
        told = message.metadata
        self.attempt: int = told.num_delivered
        self.origin = f"{told.stream}/{told.sequence.stream}"


class Nats:
    """A stream of JetStream; see `modelyard.serving.events.source.Source`."""

    rests = True

    def __init__(self, place: Place) -> None:
        self._place = place
        self._client: Any = None

    async def open(self) -> None:
        place = self._place
        if self._client is not None:
            await self._client.close()
        self._client = await connected(place)
        self._stream = self._client.jetstream(timeout=CONFIRM_S)
        # The server must not give up before we do: what fails for good is ours to put aside.
        config = ConsumerConfig(ack_wait=place.lease_s, max_deliver=-1, max_ack_pending=-1)
        try:
            self._pull = await self._stream.pull_subscribe(place.input, durable=place.group, config=config)
        except NotFoundError as exc:
            msg = (
                f"{place.url}: no stream holds the subject {place.input!r}; make one for it, for {place.output!r} and for "
                f"{place.dead_letter!r}: start the server once with --events-setup, or run `doit events:setup`"
            )
            raise ConnectionError(msg) from exc
        except FAILURES as exc:
            raise broken(exc) from exc

    async def take(self, most: int) -> Sequence[NatsDelivery]:
        try:
            return [NatsDelivery(message) for message in await self._pull.fetch(most, timeout=WAIT_S)]
        except (NatsTimeoutError, TimeoutError):
            if not self._client.is_connected:
                msg = f"{self._place.url}: the connection was lost"
                raise ConnectionError(msg) from None
            return []
        except (NatsError, OSError) as exc:
            raise broken(exc) from exc

    async def settle(self, endings: Sequence[Ending[NatsDelivery]]) -> Sequence[Exception | None]:
        sent = [
            await self._begun(one) for one in endings
        ]  # one after the other: a task for each costs more than it waits
        confirming = [future for future in sent if isinstance(future, asyncio.Future)]
        if confirming:
            await asyncio.wait(confirming, timeout=CONFIRM_S)
        failures = [_problem(one) for one in sent]
        done = [one for one, failure in zip(endings, failures, strict=True) if failure is None]
        try:
            for ending in done:
                await self._client.publish(ending.delivery.reply, _word(ending.rest_s))
            await self._client.flush(timeout=CONFIRM_S)  # the server has read them all when it answers
        except FAILURES as exc:
            raise broken(exc) from exc
        return failures

    async def keep(self, deliveries: Sequence[NatsDelivery]) -> None:
        for delivery in deliveries:
            await tried(self._client.publish(delivery.reply, _KEEP))

    async def close(self) -> None:
        await self._client.close()

    async def _begun(self, ending: Ending[NatsDelivery]) -> asyncio.Future[Any] | Exception | None:
        """Send what there is to send, as `_sent`; return why it cannot be."""
        try:
            return await self._sent(ending)
        except (ConnectionError, ValueError) as exc:
            return exc

    async def _sent(self, ending: Ending[NatsDelivery]) -> asyncio.Future[Any] | None:
        """Send what there is to send; return what comes true when the stream has it, or None."""
        place, answer, told = self._place, ending.answer, ending.dead_letter
        if answer is not None:
            return await self._publish(place.output, answer.body, {**answer.headers, "Nats-Msg-Id": answer.id})
        if told is None:
            return None
        sent = ending.delivery.sent
        kept = {name: value for name, value in sent.items() if not name.lower().startswith("nats-")}
        return await self._publish(place.dead_letter, ending.delivery.body, {**kept, **told})

    async def _publish(self, subject: str, body: bytes, headers: dict[str, str]) -> asyncio.Future[Any]:
        size = len(body) + _LINE + sum(len(name) + len(value) + _LINE for name, value in headers.items())
        if size > self._client.max_payload:  # the client counts the body alone, and the server hangs up
            msg = f"larger than the broker takes, {self._client.max_payload} bytes"
            raise ValueError(msg)
        publishing = self._stream.publish_async(subject, body, headers=headers or None)
        future: asyncio.Future[Any] = await tried(publishing)
        return future


async def connected(place: Place) -> Any:
    """Return a client that is connected with the broker.

    Raises:
        ConnectionError: it is not there, or lets nobody in.
    """
    username, password = place.login()
    tls = {"tls": place.tls.context()} if place.url.startswith("tls:") or place.tls.ca_file else {}
    login = {"user": username, "password": password} if username else {"token": password} if password else {}
    last: list[Exception] = []

    async def note(exc: Exception) -> None:
        last[:] = [exc]  # when it is connected, every failure is raised where it is met, too

    # without a number of attempts, the client would try for ever, and say nothing
    again = {"allow_reconnect": False, "max_reconnect_attempts": 1, "reconnect_time_wait": 0.2}
    connecting = nats.connect(place.url, name=place.member, connect_timeout=2, error_cb=note, **again, **login, **tls)
    try:
        return await connecting
    except FAILURES as exc:
        reason = last[0] if last and isinstance(exc, NoServersError) else exc
        msg = f"{place.url}: {broken(reason)}"
        raise ConnectionError(msg) from exc


def _problem(sent: asyncio.Future[Any] | BaseException | None) -> Exception | None:
    """Return why the stream does not have what was sent; None: it has, or nothing was."""
    if isinstance(sent, Exception):
        return sent
    if not isinstance(sent, asyncio.Future):
        return None
    if not sent.done():
        sent.cancel()
        return ConnectionError("no confirmation of what was sent")
    failure = sent.exception()
    return None if failure is None else broken(failure)


def _word(rest_s: float | None) -> bytes:
    """Return what the server is told: to forget a message, or to hand it out again."""
    if rest_s is None:
        return b"+ACK"
    return b"-NAK" if rest_s <= 0 else b"-NAK " + json.dumps({"delay": int(rest_s * 1e9)}).encode()


def broken(exc: BaseException) -> ConnectionError:
    """Return an error of the client as the consumer knows it: in one line."""
    return ConnectionError(" ".join(str(exc).split()) or type(exc).__name__)


async def tried(step: Awaitable[T]) -> T:
    """Return what a step of the client's gives.

    Raises:
        ConnectionError: it failed.
    """
    try:
        return await step
    except FAILURES as exc:
        raise broken(exc) from exc
