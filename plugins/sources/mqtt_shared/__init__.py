"""MQTT 5: a shared subscription, acknowledged by hand.

It is copied into images as it is, and imports nothing but its broker's client; see `modelyard.serving.events.source`.

The session stays with the broker when the connection ends, under the client's id: what was not acknowledged is sent again
to that client alone, when it returns. That is why the id must be the same after a restart. The broker sends no event
again while the connection lasts, and does not count how often it did; events rest here.

Source: OASIS, MQTT 5.0, sections 4.1, 4.4, 4.8.2, 4.9; CloudEvents, bindings/mqtt-protocol-binding.md.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from .link import Link

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, Sequence

    from modelyard.serving.events.source import Ending, Place

    from .peer import Peer

STRUCTURED = "application/cloudevents+json"
_ATTRIBUTE = re.compile(r"[a-z0-9]+")
_KEPT = ("PayloadFormatIndicator", "ContentType", "ResponseTopic", "CorrelationData", "MessageExpiryInterval")


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
    """A shared subscription; see `modelyard.serving.events.source.Source`.

    Messages come over one link, and answers go over another: the first reads no more while much waits.
    """

    rests = False

    def __init__(self, place: Place) -> None:
        self._place = place
        self._in: Link | None = None
        self._out: Link | None = None
        self._held: dict[int, MqttDelivery] = {}

    async def open(self) -> None:
        await self.close()
        self._out = Link(self._place, client_id=f"{self._place.client_id}-out", stays=False)
        await self._out.connect()
        self._in = Link(self._place)
        was_there = await self._in.connect()
        self._in.subscribe(f"$share/{self._place.group}/{self._place.input}")
        if not was_there:
            self._held.clear()  # a session that has just begun knows nothing of them
            await self._in.subscribed()

    async def take(self, most: int) -> Sequence[MqttDelivery]:
        assert self._in is not None
        assert self._out is not None
        messages = await self._in.received(most)
        deliveries = [one for one in map(MqttDelivery, messages) if self._is_new(one)]
        if not deliveries:
            self._out.assert_there()
        return deliveries

    async def settle(self, endings: Sequence[Ending[MqttDelivery]]) -> Sequence[Exception | None]:
        assert self._in is not None
        assert self._out is not None
        sent = [self._sent(self._out, one) for one in endings]
        failures = [await one if one is not None else None for one in sent]
        for ending, failure in zip(endings, failures, strict=True):
            if failure is None and ending.rest_s is None:
                self._acknowledge(self._in, ending.delivery)
        return failures

    async def keep(self, deliveries: Sequence[MqttDelivery]) -> None:
        """Nothing: they are this client's as long as its session lasts."""

    async def close(self) -> None:
        for link in (self._out, self._in):
            if link is not None:
                await link.close()

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
