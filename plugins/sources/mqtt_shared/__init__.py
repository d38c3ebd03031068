"""MQTT 5: a shared subscription, acknowledged by hand.

It is copied into images as it is, and imports nothing but its broker's client; see `modelyard.serving.events.source`.

The session stays with the broker when the connection ends, under the client's id: what was not acknowledged is sent again
to that client alone, when it returns. That is why the id must be the same after a restart. The broker sends no event
again while the connection lasts, and does not count how often it did; events rest here.

Source: OASIS, MQTT 5.0, sections 4.1, 4.4, 4.8.2, 4.9; CloudEvents, bindings/mqtt-protocol-binding.md.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelyard.serving.events.source import Ending, Place

    from .peer import Peer

WAIT_S, CONNECT_S, CONFIRM_S, ALIVE_S = 1.0, 5.0, 5.0, 15
FOR_EVER = 0xFFFFFFFF
NOBODY, TOO_LARGE, REFUSED = 0x10, 0x95, 0x80
STRUCTURED = "application/cloudevents+json"
_ATTRIBUTE = re.compile(r"[a-z0-9]+")
_KEPT = ("PayloadFormatIndicator", "ContentType", "ResponseTopic", "CorrelationData", "MessageExpiryInterval")
_LINE = 64
"""Bytes that a packet, or one property of it, takes beside what it says, at most."""


def open_source(place: Place) -> Mqtt:
    """Return what takes events from the topics that `place.input` names.

    Raises:
        ValueError: the place cannot be one of MQTT; the message begins with the name of what is wrong with it.
    """
    url = urlsplit(place.url)
    if url.scheme not in ("mqtt", "mqtts") or not url.hostname or url.path.strip("/"):
        msg = f"URL: {place.url!r}; allowed: mqtt://HOST:PORT, or mqtts://HOST:PORT"
        raise ValueError(msg)
    for name, topic in (("OUTPUT", place.output), ("DEAD_LETTER", place.dead_letter)):
        if re.search("[+#]", topic):
            msg = f"{name}: {topic!r}; allowed: a topic, without '+' and '#'"
            raise ValueError(msg)
    return Mqtt(place)


def open_peer(place: Place) -> Peer:
    """Return who sends events to the topic `place.input`, and hears what becomes of them."""
    from .peer import Peer

    open_source(place)  # refuses what can be no place
    return Peer(place)


class MqttDelivery:
    """A message of a topic; see `modelyard.serving.events.source.Delivery`."""

    __slots__ = ("body", "headers", "mid", "origin", "sent")

    attempt = 1

    def __init__(self, message: Any) -> None:
        self.mid: int = message.mid
        self.sent: dict[str, Any] = message.properties.json() if message.properties else {}
        self.body: bytes = message.payload
        self.headers: Mapping[bytes, bytes] = headers_of(self.sent)
        self.origin: str = message.topic

    def is_the_same(self, other: MqttDelivery) -> bool:
        """Return whether it is this one, sent again."""
        return (self.body, self.headers, self.origin) == (other.body, other.headers, other.origin)


class Mqtt:
    """A shared subscription; see `modelyard.serving.events.source.Source`."""

    rests = False

    def __init__(self, place: Place) -> None:
        self._place = place
        self._link: Link | None = None
        self._held: dict[int, MqttDelivery] = {}

    async def open(self) -> None:
        await self.close()
        self._link = link = Link(self._place, asyncio.get_running_loop())
        if not await link.connect():
            self._held.clear()  # a session that has just begun knows nothing of them
        await link.subscribe(f"$share/{self._place.group}/{self._place.input}")

    async def take(self, most: int) -> Sequence[MqttDelivery]:
        assert self._link is not None
        messages = await self._link.received(most)
        return [one for one in map(MqttDelivery, messages) if self._is_new(one)]

    async def settle(self, endings: Sequence[Ending[MqttDelivery]]) -> Sequence[Exception | None]:
        assert self._link is not None
        sent = [self._sent(self._link, one) for one in endings]
        failures = [await one if one is not None else None for one in sent]
        for ending, failure in zip(endings, failures, strict=True):
            if failure is None and ending.rest_s is None:
                self._acknowledge(self._link, ending.delivery)
        return failures

    async def keep(self, deliveries: Sequence[MqttDelivery]) -> None:
        """Nothing: they are this client's as long as its session lasts."""

    async def close(self) -> None:
        if self._link is not None:
            await asyncio.to_thread(self._link.close)

    def _is_new(self, delivery: MqttDelivery) -> bool:
        """Return whether it is not held already: when a connection is made anew, the broker sends all again."""
        if not delivery.mid:  # sent without asking for an acknowledgement
            return True
        before = self._held.get(delivery.mid)
        if before is not None and before.is_the_same(delivery):
            return False
        self._held[delivery.mid] = delivery  # if there was another, the broker has forgotten it
        return True

    def _acknowledge(self, link: Link, delivery: MqttDelivery) -> None:
        if self._held.get(delivery.mid) is delivery:
            del self._held[delivery.mid]
            link.client.ack(delivery.mid, 1)

    def _sent(self, link: Link, ending: Ending[MqttDelivery]) -> asyncio.Future[Exception | None] | None:
        place, delivery = self._place, ending.delivery
        if ending.answer is not None:
            return link.publish(place.output, ending.answer.body, properties_of({}, ending.answer.headers))
        if ending.dead_letter is not None:
            return link.publish(place.dead_letter, delivery.body, properties_of(delivery.sent, ending.dead_letter))
        return None


class Link:
    """One connection. Its client has a thread of its own, from which everything is handed to the event loop."""

    def __init__(self, place: Place, loop: asyncio.AbstractEventLoop, *, stays: bool = True) -> None:
        """`stays`: the broker keeps its session when it has ended, under the client's id."""
        self._place, self._loop, self._stays = place, loop, stays
        self._messages: deque[Any] = deque()
        self._some = asyncio.Event()
        self._lost: str | None = None
        self._connected: asyncio.Future[Any] = loop.create_future()
        self._subscribed: asyncio.Future[Any] = loop.create_future()
        self._confirming: dict[int, asyncio.Future[Exception | None]] = {}
        self._largest = 0
        options = {"client_id": place.client_id, "protocol": MQTTv5, "manual_ack": True}
        self.client = client = Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False, **options)
        client.on_connect = lambda _, __, flags, code, told: self._later(self._on_connect, flags, code, told)
        client.on_disconnect = lambda _, __, ___, code, ____: self._later(self._on_disconnect, str(code))
        client.on_subscribe = lambda _, __, ___, codes, ____: self._later(self._on_subscribe, codes[0])
        client.on_message = lambda _, __, message: self._later(self._on_message, message)
        client.on_publish = lambda _, __, mid, code, ___: self._later(self._on_publish, mid, code)

    async def connect(self) -> bool:
        """Connect; return whether the broker has the session of before.

        Raises:
            ConnectionError: nobody answers there, or does not let us in.
        """
        url, (username, password) = urlsplit(self._place.url), self._place.login()
        if password:
            self.client.username_pw_set(username or "", password)
        if url.scheme == "mqtts":
            self.client.tls_set_context(self._place.tls.context())
        wanted = Properties(PacketTypes.CONNECT)
        wanted.SessionExpiryInterval = FOR_EVER if self._stays else 0
        wanted.ReceiveMaximum = min(self._place.most, 65535)
        port = url.port or (8883 if url.scheme == "mqtts" else 1883)
        where = {"host": str(url.hostname), "port": port, "keepalive": ALIVE_S}
        try:
            await asyncio.to_thread(self.client.connect, **where, clean_start=not self._stays, properties=wanted)
        except (OSError, ValueError) as exc:
            raise _failure(exc) from exc
        self.client.loop_start()
        flags, code, told = await self._answer(self._connected)
        if code.is_failure:
            raise ConnectionError(str(code))
        self._largest = getattr(told, "MaximumPacketSize", 0)
        return bool(flags.session_present)

    async def subscribe(self, topic_filter: str) -> None:
        """Have the broker send what comes there.

        Raises:
            ConnectionError: it does not.
        """
        self._subscribed = self._loop.create_future()
        self.client.subscribe(topic_filter, qos=1)
        code = await self._answer(self._subscribed)
        if code.is_failure:
            msg = f"{topic_filter!r}: {code}"
            raise ConnectionError(msg)

    async def received(self, most: int, wait_s: float = WAIT_S) -> list[Any]:
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

    def publish(self, topic: str, body: bytes, properties: Properties) -> asyncio.Future[Exception | None]:
        """Send a message; return what comes true when the broker has it, with what it has against it."""
        future: asyncio.Future[Exception | None] = self._loop.create_future()
        size = len(topic) + len(body) + len(properties.pack()) + _LINE
        if self._largest and size > self._largest:
            future.set_result(ValueError(f"larger than the broker takes, {self._largest} bytes"))
            return future
        info = self.client.publish(topic, body, qos=1, properties=properties)
        if info.rc or self._lost is not None:
            future.set_result(ConnectionError(self._lost or f"not sent, {info.rc!s}"))
            return future
        self._confirming[info.mid] = future
        self._loop.call_later(CONFIRM_S, _tell, future, ConnectionError("no confirmation of what was sent"))
        return future

    def close(self) -> None:
        """Leave, and end the thread; the session stays with the broker."""
        self.client.disconnect()
        self.client.loop_stop()

    def _later(self, function: Any, *arguments: Any) -> None:
        self._loop.call_soon_threadsafe(function, *arguments)

    async def _answer(self, future: asyncio.Future[Any]) -> Any:
        try:
            return await asyncio.wait_for(future, CONNECT_S)
        except TimeoutError:
            msg = f"{self._place.url}: no answer"
            raise ConnectionError(msg) from None

    def _on_connect(self, flags: Any, code: Any, told: Any) -> None:
        _tell(self._connected, (flags, code, told))

    def _on_disconnect(self, code: str) -> None:
        self._lost = f"{self._place.url}: the connection was lost: {code}"
        for waiting in (self._connected, self._subscribed):
            if not waiting.done():
                waiting.set_exception(ConnectionError(self._lost))
                waiting.exception()  # whether somebody waits for it or not
        for future in self._confirming.values():
            _tell(future, ConnectionError(self._lost))
        self._some.set()

    def _on_subscribe(self, code: Any) -> None:
        _tell(self._subscribed, code)

    def _on_message(self, message: Any) -> None:
        self._messages.append(message)
        self._some.set()

    def _on_publish(self, mid: int, code: Any) -> None:
        future = self._confirming.pop(mid, None)
        if future is not None:
            _tell(future, _problem(code))


def _problem(code: Any) -> Exception | None:
    """Return what the broker has against a message."""
    if code.value == NOBODY:
        return ConnectionError("nobody has subscribed to where it goes: the broker would drop it")
    if code.value < REFUSED:
        return None
    return ValueError("larger than the broker takes") if code.value == TOO_LARGE else ConnectionError(str(code))


def headers_of(sent: Mapping[str, Any]) -> Mapping[bytes, bytes]:
    """Return the header fields that say what the message's properties do; they are percent-encoded, those are not."""
    found = {
        f"ce-{name}" if _ATTRIBUTE.fullmatch(name) else name.lower(): value
        for name, value in sent.get("UserProperty", ())
    }
    media_type = sent.get("ContentType")
    if media_type is None and "ce-specversion" not in found:
        media_type = STRUCTURED  # as clients of MQTT 3 send events, which have no properties
    fields = {
        name.encode(): quote(value, safe=" !#$&'()*+,-./:;<=>?@[]_{|}~").encode() for name, value in found.items()
    }
    return fields if media_type is None else {**fields, b"content-type": media_type.encode()}


def properties_of(sent: Mapping[str, Any], headers: Mapping[str, str]) -> Properties:
    """Return the properties of a message that has those of another, `sent`, and those that say what `headers` do."""
    made = Properties(PacketTypes.PUBLISH)
    for name in _KEPT:
        if name in sent:
            setattr(made, name, bytes.fromhex(sent[name]) if name == "CorrelationData" else sent[name])
    pairs = [tuple(pair) for pair in sent.get("UserProperty", ())]
    for name, value in headers.items():
        if name == "ce-datacontenttype":
            made.ContentType = value
        else:
            pairs.append((name.removeprefix("ce-"), unquote(value)))
    if pairs:
        made.UserProperty = pairs
    return made


def _tell(future: asyncio.Future[Any], what: Any) -> None:
    if not future.done():
        future.set_result(what)


def _failure(exc: BaseException) -> ConnectionError:
    return ConnectionError(" ".join(str(exc).split()) or type(exc).__name__)
