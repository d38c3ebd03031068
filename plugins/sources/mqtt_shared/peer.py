"""The other side of MQTT: who begins the server's session, sends events and hears what became of them."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import headers_of, open_source, properties_of
from .link import Link

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelyard.serving.events.peer import Heard, Sent
    from modelyard.serving.events.source import Place

WAIT_S, MOST = 0.5, 256


@dataclass(frozen=True, slots=True)
class Back:
    """What came back; see `modelyard.serving.events.peer.Heard`."""

    is_dead: bool
    headers: Mapping[str, str]
    body: bytes


class Peer:
    """See `modelyard.serving.events.peer.Peer`. Its own session ends with the connection."""

    def __init__(self, place: Place) -> None:
        self._place = dataclasses.replace(place, client_id=f"{place.client_id}-peer-{place.member}")
        self._servers = place
        self._link: Link | None = None

    async def open(self) -> None:
        self._link = link = Link(self._place, stays=False)
        await link.connect()
        link.subscribe(self._place.output, self._place.dead_letter)
        await link.subscribed()

    async def prepare(self) -> Sequence[str]:
        place, source = self._servers, open_source(self._servers)
        await source.open()  # which begins its session, if it has none
        await source.close()
        return [
            f"session {place.client_id!r} keeps what comes to {place.input!r}",
            f"topics {place.output!r} and {place.dead_letter!r} reach whoever has subscribed to them by then",
        ]

    async def send(self, events: Sequence[Sent]) -> None:
        assert self._link is not None
        topic = self._place.input
        if re.search("[+#]", topic):
            msg = f"{topic!r} stands for several topics, and an event goes to one\n  send it with a client of MQTT"
            raise ConnectionError(msg)
        sent = [self._link.publish(topic, one.body, properties_of({}, _attributes(one))) for one in events]
        for failure in await asyncio.gather(*sent):
            if failure is not None:
                msg = f"{self._place.url}: {topic!r}: {failure}"
                raise ConnectionError(msg) from failure

    async def read(self) -> Sequence[Heard]:
        assert self._link is not None
        found = []
        for message in await self._link.received(MOST, WAIT_S):
            self._link.client.ack(message.mid, message.qos)
            told = message.properties.json() if message.properties else {}
            headers = {name.decode(): value.decode("latin-1") for name, value in headers_of(told).items()}
            found.append(Back(message.topic == self._place.dead_letter, headers, message.payload))
        return found

    async def close(self) -> None:
        if self._link is not None:
            await self._link.close()


def _attributes(event: Sent) -> dict[str, str]:
    return {"ce-datacontenttype" if name == "content-type" else name: value for name, value in event.headers.items()}
