"""RabbitMQ, by AMQP 0-9-1: a consumer of a queue, with publisher confirms.

It is copied into images as it is, and imports nothing but its broker's client; see `modelyard.serving.events.source`.

What is not acknowledged when the connection ends is in the queue again, at its old place. A quorum queue counts how often
that was; a classic queue does not. Events rest here: a broker that is told to have one back hands it out at once.

Source: RabbitMQ, consumer acknowledgements and publisher confirms; quorum queues. CloudEvents, bindings/amqp-protocol-binding.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from pika import BasicProperties, ConnectionParameters, PlainCredentials, SSLOptions
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.spec import Basic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from modelyard.serving.events.source import Ending, Place

    from .peer import Peer

WAIT_S, CONNECT_S, CONFIRM_S, HEARTBEAT_S = 1.0, 5.0, 5.0, 30
COUNT = "x-delivery-count"
PERSISTENT = 2
_PREFIXES = ("ce-", "cloudEvents:", "cloudEvents_")
_KEPT = ("content_type", "content_encoding", "correlation_id", "reply_to", "message_id", "timestamp", "type", "app_id")
_TOO_LARGE = "larger than configured max size"

logging.getLogger("pika").setLevel(logging.CRITICAL + 1)  # every failure is raised where it is met, too


def open_source(place: Place) -> Amqp:
    """Return what takes events from the queue `place.input`.

    Raises:
        ValueError: the place cannot be one of RabbitMQ; the message begins with the name of what is wrong with it.
    """
    url = urlsplit(place.url)
    if url.scheme not in ("amqp", "amqps") or not url.hostname or "/" in url.path[1:]:
        msg = f"URL: {place.url!r}; allowed: amqp://HOST:PORT, or amqps://HOST:PORT, each with /NAME of a virtual host"
        raise ValueError(msg)
    return Amqp(place)


def open_peer(place: Place) -> Peer:
    """Return who sends events to the queue `place.input`, and hears what becomes of them."""
    from .peer import Peer

    open_source(place)  # refuses what can be no place
    return Peer(place)


class AmqpDelivery:
    """A message of a queue; see `modelyard.serving.events.source.Delivery`."""

    __slots__ = ("attempt", "body", "channel", "headers", "origin", "queue", "sent", "tag")

    def __init__(self, queue: str, channel: Channel, method: Any, sent: BasicProperties, body: bytes) -> None:
        self.channel, self.queue, self.sent, self.body = channel, queue, sent, body
        self.tag: int = method.delivery_tag
        self.headers: Mapping[bytes, bytes] = _headers(sent)
        self.attempt = 1 + int((sent.headers or {}).get(COUNT) or 0)
        self.origin = f"{queue}/{self.tag}"


class Amqp:
    """A queue; see `modelyard.serving.events.source.Source`."""

    rests = False

    def __init__(self, place: Place) -> None:
        self._place = place
        self._channel: Channel | None = None

    async def open(self) -> None:
        if self._channel is not None and self._channel.is_there():
            return  # to come anew would have all that is held handed out again, and counted as if it had been tried
        await self.close()
        self._channel = None
        channel = Channel(self._place, asyncio.get_running_loop(), [self._place.input])
        try:
            await channel.open()
        except ConnectionError:
            await channel.close()
            raise
        self._channel = channel

    async def take(self, most: int) -> Sequence[AmqpDelivery]:
        assert self._channel is not None
        return await self._channel.received(most)

    async def settle(self, endings: Sequence[Ending[AmqpDelivery]]) -> Sequence[Exception | None]:
        channel = self._channel
        assert channel is not None
        sent = [self._sent(channel, one) for one in endings]
        failures = [await one if one is not None else None for one in sent]
        for ending, failure in zip(endings, failures, strict=True):
            # what came by another connection is in the queue again
            if failure is None and ending.delivery.channel is channel:
                channel.settle(ending.delivery.tag, is_done=ending.rest_s is None)
        return failures

    async def keep(self, deliveries: Sequence[AmqpDelivery]) -> None:
        """Nothing: they are this consumer's as long as its connection lasts."""

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()

    def _sent(self, channel: Channel, ending: Ending[AmqpDelivery]) -> asyncio.Future[Exception | None] | None:
        place, delivery = self._place, ending.delivery
        if ending.answer is not None:
            return channel.publish(place.output, ending.answer.body, properties_of(None, ending.answer.headers))
        if ending.dead_letter is not None:
            return channel.publish(place.dead_letter, delivery.body, properties_of(delivery.sent, ending.dead_letter))
        return None


class Channel:
    """A connection with one channel, which consumes from `queues`, and publishes."""

    def __init__(self, place: Place, loop: asyncio.AbstractEventLoop, queues: Sequence[str]) -> None:
        self._place, self._loop, self._queues = place, loop, queues
        self._connection: Any = None
        self._channel: Any = None
        self._messages: deque[AmqpDelivery] = deque()
        self._some = asyncio.Event()
        self._lost: str | None = None
        self._answer: asyncio.Future[Any] = loop.create_future()
        self._published = 0
        self._confirming: dict[int, Sent] = {}

    async def open(self) -> None:
        """Connect, and have the queues' messages sent.

        Raises:
            ConnectionError: nobody answers there, or does not let us in, or there is no such queue.
        """
        begin = AsyncioConnection
        callbacks = {"on_open_error_callback": self._on_end, "on_close_callback": self._on_end}
        parameters = _parameters(self._place)
        self._connection = await self._asked(
            lambda told: begin(parameters, told, custom_ioloop=self._loop, **callbacks)
        )
        self._channel = await self._asked(lambda told: self._connection.channel(on_open_callback=told))
        self._channel.add_on_close_callback(self._on_end)
        self._channel.add_on_cancel_callback(lambda _: self._on_end(None, "the queue was deleted"))
        self._channel.add_on_return_callback(self._on_return)
        await self._asked(lambda told: self._channel.confirm_delivery(self._on_confirm, told))
        most = min(self._place.most, 65535)
        await self._asked(lambda told: self._channel.basic_qos(prefetch_count=most, callback=told))
        for queue in self._queues:
            await self._consume(queue)

    def is_there(self) -> bool:
        """Return whether the connection is good, as far as is known."""
        return self._lost is None

    async def declare(self, queue: str, *, is_asked: bool = False) -> None:
        """Make a queue that is copied to several brokers; `is_asked`: only ask for it.

        Raises:
            ConnectionError: there is none, or it cannot be made.
        """
        made = {} if is_asked else {"durable": True, "arguments": {"x-queue-type": "quorum"}}
        await self._asked(lambda told: self._channel.queue_declare(queue, passive=is_asked, callback=told, **made))

    async def received(self, most: int, wait_s: float = WAIT_S) -> list[AmqpDelivery]:
        """Return what has come, `most` messages at most; after `wait_s` seconds, nothing.

        Raises:
            ConnectionError: the connection was lost.
        """
        if not self._messages and self._lost is None:
            self._some.clear()
            try:
                await asyncio.wait_for(self._some.wait(), wait_s)
            except TimeoutError:
                return []
        if self._lost is not None:
            raise ConnectionError(self._lost)
        return [self._messages.popleft() for _ in range(min(most, len(self._messages)))]

    def publish(self, queue: str, body: bytes, properties: BasicProperties) -> asyncio.Future[Exception | None]:
        """Send a message; return what comes true when the broker has it, with what it has against it."""
        sent = Sent(queue, len(body), self._loop.create_future())
        if self._lost is not None:
            sent.tell(ConnectionError(self._lost))
            return sent.future
        self._published += 1
        self._confirming[self._published] = sent
        self._channel.basic_publish("", queue, body, properties, mandatory=True)
        self._loop.call_later(CONFIRM_S, sent.tell, ConnectionError("no confirmation of what was sent"))
        return sent.future

    def settle(self, tag: int, *, is_done: bool) -> None:
        """Have a message forgotten, or back in its queue.

        Raises:
            ConnectionError: the connection was lost.
        """
        if self._lost is not None:
            raise ConnectionError(self._lost)
        if is_done:
            self._channel.basic_ack(tag)
        else:
            self._channel.basic_nack(tag, requeue=True)

    async def close(self) -> None:
        """Leave; what was not acknowledged is in the queue again."""
        if self._connection is None or self._connection.is_closed:
            return
        self._answer = self._loop.create_future()
        if not self._connection.is_closing:
            self._connection.close()
        await asyncio.wait({self._answer}, timeout=CONFIRM_S)

    async def _asked(self, ask: Callable[[Any], Any]) -> Any:
        """Return what the broker answers to `ask`, which is given what is to be called with that."""
        if self._lost is not None:
            raise ConnectionError(self._lost)
        self._answer = future = self._loop.create_future()
        ask(lambda answer: _tell(future, answer))
        try:
            return await asyncio.wait_for(future, CONNECT_S)
        except TimeoutError:
            msg = f"{self._place.url}: no answer"
            raise ConnectionError(msg) from None

    async def _consume(self, queue: str) -> None:
        def on_message(_: Any, method: Any, properties: BasicProperties, body: bytes) -> None:
            self._messages.append(AmqpDelivery(queue, self, method, properties, body))
            self._some.set()

        await self._asked(lambda told: self._channel.basic_consume(queue, on_message, callback=told))

    def _on_return(self, _: Any, method: Any, *__: Any) -> None:
        """There is no such queue: whatever was sent to it and is not confirmed was sent in vain."""
        problem = ConnectionError(f"no queue {method.routing_key!r}: {method.reply_text}")
        for sent in self._confirming.values():
            if sent.queue == method.routing_key:
                sent.tell(problem)

    def _on_confirm(self, frame: Any) -> None:
        told, number = frame.method, frame.method.delivery_tag
        numbers = [one for one in self._confirming if one <= number] if told.multiple else [number]
        problem = None if isinstance(told, Basic.Ack) else ConnectionError("the broker could not keep what was sent")
        for one in numbers:
            if sent := self._confirming.pop(one, None):
                sent.tell(problem)

    def _on_end(self, _: Any, reason: object) -> None:
        if self._lost is not None and not isinstance(reason, Exception):
            return
        said = _said(reason)
        if self._lost is None:
            self._lost = f"{self._place.url}: {said}"
        if _TOO_LARGE in said and self._confirming:
            max(self._confirming.values(), key=lambda one: one.size).tell(ValueError("larger than the broker takes"))
        for sent in self._confirming.values():
            sent.tell(ConnectionError(self._lost))
        if not self._answer.done():
            self._answer.set_exception(ConnectionError(self._lost))
            self._answer.exception()  # whether somebody waits for it or not
        self._some.set()


class Sent:
    """A message on its way to the broker.

    Attributes:
        queue: where it goes to.
        size: that of its data, in bytes.
        future: what becomes of it: None, or what the broker has against it.
    """

    __slots__ = ("future", "queue", "size")

    def __init__(self, queue: str, size: int, future: asyncio.Future[Exception | None]) -> None:
        self.queue, self.size, self.future = queue, size, future

    def tell(self, problem: Exception | None) -> None:
        """Say what has become of it, unless that was said."""
        _tell(self.future, problem)


def _parameters(place: Place) -> ConnectionParameters:
    url, (username, password) = urlsplit(place.url), place.login()
    is_tls = url.scheme == "amqps"
    given: dict[str, Any] = {"credentials": PlainCredentials(username or "", password)} if password else {}
    if is_tls:
        given["ssl_options"] = SSLOptions(place.tls.context(), str(url.hostname))
    return ConnectionParameters(
        host=str(url.hostname),
        port=url.port or (5671 if is_tls else 5672),
        virtual_host=unquote(url.path[1:]) or "/",
        heartbeat=HEARTBEAT_S,
        connection_attempts=1,
        socket_timeout=CONNECT_S,
        stack_timeout=CONNECT_S,
        client_properties={"connection_name": place.member},
        **given,
    )


def _headers(sent: BasicProperties) -> Mapping[bytes, bytes]:
    """Return the header fields that say what the message's properties do; they are percent-encoded, those are not."""
    found = {}
    for name, value in (sent.headers or {}).items():
        prefix = next((one for one in _PREFIXES if name.startswith(one)), "")
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else _text(value)
        key = f"ce-{name.removeprefix(prefix)}" if prefix else name.lower()
        found[key.encode()] = quote(text, safe=" !#$&'()*+,-./:;<=>?@[]_{|}~").encode()
    return {**found, b"content-type": sent.content_type.encode()} if sent.content_type else found


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def properties_of(sent: BasicProperties | None, headers: Mapping[str, str]) -> BasicProperties:
    """Return the properties of a message that has those of another, `sent`, and those that say what `headers` do."""
    kept = {name: getattr(sent, name) for name in _KEPT} if sent else {}
    fields = {name: value for name, value in ((sent and sent.headers) or {}).items() if name != COUNT}
    for name, value in headers.items():
        if name == "ce-datacontenttype":
            kept["content_type"] = value
        else:
            fields[name] = unquote(value)
    return BasicProperties(headers=fields, delivery_mode=PERSISTENT, **kept)


def _said(reason: object) -> str:
    """Return what went wrong: of a connection that could not be made, what its last try says."""
    while inner := getattr(reason, "exception", None) or getattr(reason, "exceptions", None):
        reason = inner[-1] if isinstance(inner, (list, tuple)) else inner
    return " ".join(str(reason).split()) or type(reason).__name__


def _tell(future: asyncio.Future[Any], what: Any) -> None:
    if not future.done():
        future.set_result(what)
