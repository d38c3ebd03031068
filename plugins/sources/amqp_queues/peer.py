"""The other side of RabbitMQ: who makes the queues, sends events and hears what became of them."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import Channel, properties_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelyard.serving.events.peer import Heard, Sent
    from modelyard.serving.events.source import Place

    from . import AmqpDelivery

WAIT_S, MOST = 0.5, 256
MOST_KEPT = 65535
"""Messages of others that stand before the own ones, and are kept until the connection ends."""
NOT_THERE = "NOT_FOUND"


@dataclass(frozen=True, slots=True)
class Back:
    """What came back; see `modelyard.serving.events.peer.Heard`."""

    is_dead: bool
    headers: Mapping[str, str]
    body: bytes


class Peer:
    """See `modelyard.serving.events.peer.Peer`.

    Who reads a queue takes from it: what comes of its own events is taken, and everything else is in its queue again when
    the connection ends.
    """

    def __init__(self, place: Place) -> None:
        self._place = dataclasses.replace(place, most=MOST_KEPT)
        self._channel: Channel | None = None
        self._sent: set[tuple[str, bytes]] = set()

    async def open(self) -> None:
        await self.close()
        place = self._place
        there = [one for one in (place.output, place.dead_letter) if await self._is_there(one)]
        self._channel = await self._opened(*there)

    async def prepare(self) -> Sequence[str]:
        place = self._place
        for queue in dict.fromkeys((place.input, place.output, place.dead_letter)):
            if not await self._is_there(queue):
                channel = await self._opened()
                try:
                    await channel.declare(queue)
                finally:
                    await channel.close()
        await self.open()
        return [f"queue {queue!r}" for queue in (place.input, place.output, place.dead_letter)]

    async def send(self, events: Sequence[Sent]) -> None:
        assert self._channel is not None
        queue = self._place.input
        self._sent.update(_identity(one.headers, one.body) for one in events)
        sent = [self._channel.publish(queue, one.body, properties_of(None, _attributes(one))) for one in events]
        for failure in await asyncio.gather(*sent):
            if failure is not None:
                msg = f"{self._place.url}: {queue!r}: {failure}"
                raise ConnectionError(msg) from failure

    async def read(self) -> Sequence[Heard]:
        assert self._channel is not None
        found = []
        for one in await self._channel.received(MOST, WAIT_S):
            found.append(back := self._back(one))
            cause = back.headers if back.is_dead else {"ce-id": back.headers.get("ce-causationid", "")}
            if _identity(cause, back.body) in self._sent:
                self._channel.settle(one.tag, is_done=True)
        return found

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()

    def _back(self, delivery: AmqpDelivery) -> Back:
        headers = {name.decode(): value.decode("latin-1") for name, value in delivery.headers.items()}
        return Back(delivery.queue == self._place.dead_letter, headers, delivery.body)

    async def _opened(self, *queues: str) -> Channel:
        channel = Channel(self._place, asyncio.get_running_loop(), queues)
        await channel.open()
        return channel

    async def _is_there(self, queue: str) -> bool:
        """Return whether the broker has a queue; it ends the channel of who asks for one that it has not."""
        channel = await self._opened()
        try:
            await channel.declare(queue, is_asked=True)
        except ConnectionError as exc:
            if NOT_THERE not in str(exc):
                raise
            return False
        finally:
            await channel.close()
        return True


def _identity(headers: Mapping[str, str], body: bytes) -> tuple[str, bytes]:
    """Return what an event is known again by: its id, or its data if it has none."""
    return (headers["ce-id"], b"") if headers.get("ce-id") else ("", body)


def _attributes(event: Sent) -> dict[str, str]:
    return {"ce-datacontenttype" if name == "content-type" else name: value for name, value in event.headers.items()}
