"""NATS JetStream: a durable consumer that is pulled from.

It is copied into images as it is, and imports nothing but its broker's client; see `modelyard.serving.events.source`.

Source: NATS, ADR-13 (pull consumers) and ADR-9 (acknowledgements); CloudEvents, bindings/nats-protocol-binding.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import nats
from nats.errors import Error as NatsError
from nats.errors import NoServersError
from nats.js.api import ConsumerConfig
from nats.js.errors import NotFoundError

from .pulling import Pull
from .sending import Sender

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence
    from typing import TypeVar

    from modelyard.serving.events.source import Ending, Place

    from .peer import Peer
    from .sending import Message

    T = TypeVar("T")

CONFIRM_S, LEAVE_S = 5.0, 1.5
FAILURES = (NatsError, OSError, TimeoutError)
_SUBJECT = re.compile(r"[^\s*>.]+(\.[^\s*>.]+)*")
_GROUP = re.compile(r"[A-Za-z0-9_-]+")
_KEEP = b"+WPI"


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
        self._pull: Pull | None = None

    async def open(self) -> None:
        if self._client is not None:
            await self._client.close()
        self._client = client = await connected(self._place)
        stream = await self._consumed()
        pull, before = Pull(client, stream, self._place.group), self._pull
        if before is not None:  # what has come and was not taken is still ours, and nobody takes it there any more
            pull.came, before.came = before.came, []
        self._pull = pull
        self._sender = Sender(client, FAILURES)
        await tried(self._pull.open())
        await tried(self._sender.open())

    async def take(self, most: int) -> Sequence[NatsDelivery]:
        assert self._pull is not None
        taken = await tried(self._pull.take(most))
        if not taken and not self._client.is_connected:
            msg = f"{self._place.url}: the connection was lost"
            raise ConnectionError(msg)
        return [NatsDelivery(message) for message in taken]

    async def settle(self, endings: Sequence[Ending[NatsDelivery]]) -> Sequence[Exception | None]:
        found = await self._sender.send([self._message(one) for one in endings], CONFIRM_S)
        failures = [_told(one) for one in found]
        done = [one for one, failure in zip(endings, failures, strict=True) if failure is None]
        await tried(self._tell([(one.delivery.reply, _word(one.rest_s)) for one in done]))
        return failures

    async def keep(self, deliveries: Sequence[NatsDelivery]) -> None:
        for delivery in deliveries:
            await tried(self._client.publish(delivery.reply, _KEEP))

    async def close(self) -> None:
        if self._pull is not None and self._client.is_connected:
            with contextlib.suppress(*FAILURES):  # the server finds out by itself, later
                async with asyncio.timeout(LEAVE_S):
                    await self._tell([(one.reply, _word(0.0)) for one in await self._pull.close()])
        await self._client.close()

    async def _consumed(self) -> str:
        """Return the name of the stream that holds the input, with the consumer made if need be."""
        place = self._place
        stream = self._client.jetstream(timeout=CONFIRM_S)
        # The server must not give up before we do: what fails for good is ours to put aside.
        config = ConsumerConfig(ack_wait=place.lease_s, max_deliver=-1, max_ack_pending=-1)
        try:
            made = await stream.pull_subscribe(place.input, durable=place.group, config=config)
            name: str = (await made.consumer_info()).stream_name
            await made.unsubscribe()
        except NotFoundError as exc:
            msg = (
                f"{place.url}: no stream holds the subject {place.input!r}; make one for it, for {place.output!r} and for "
                f"{place.dead_letter!r}: start the server once with --events-setup, or run `doit events:setup`"
            )
            raise ConnectionError(msg) from exc
        except FAILURES as exc:
            raise broken(exc) from exc
        return name

    def _message(self, ending: Ending[NatsDelivery]) -> Message | None:
        """Return what there is to send, if anything."""
        place, answer, told = self._place, ending.answer, ending.dead_letter
        if answer is not None:
            return place.output, answer.body, {**answer.headers, "Nats-Msg-Id": answer.id}
        if told is None:
            return None
        sent = ending.delivery.sent
        kept = {name: value for name, value in sent.items() if not name.lower().startswith("nats-")}
        return place.dead_letter, ending.delivery.body, {**kept, **told}

    async def _tell(self, words: Sequence[tuple[str, bytes]]) -> None:
        for reply, word in words:
            await self._client.publish(reply, word)
        await self._client.flush(timeout=CONFIRM_S)  # the server has read them all when it answers


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


def _told(failure: Exception | None) -> Exception | None:
    """Return why the stream does not have what was sent, as the consumer knows it."""
    return failure if failure is None or isinstance(failure, ConnectionError | ValueError) else broken(failure)


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
