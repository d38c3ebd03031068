"""The other side of JetStream: who makes its streams, sends events and hears what became of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nats.errors import MaxPayloadError
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from . import CONFIRM_S, FAILURES, broken, connected, open_source, tried

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelyard.serving.events.peer import Heard, Sent
    from modelyard.serving.events.source import Place

WAIT_S = 0.5


def stream_of(subject: str) -> str:
    """Return what the stream is called that is made for a subject; a name holds no '.'."""
    return subject.replace(".", "-")


@dataclass(frozen=True, slots=True)
class Back:
    """What came back; see `modelyard.serving.events.peer.Heard`."""

    is_dead: bool
    headers: Mapping[str, str]
    body: bytes


class Peer:
    """See `modelyard.serving.events.peer.Peer`."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._client: Any = None
        self._listens: set[str] = set()
        self._heard: asyncio.Queue[Heard] = asyncio.Queue()

    async def open(self) -> None:
        self._client = await connected(self._place)
        self._stream = self._client.jetstream(timeout=CONFIRM_S)
        await self._listen()

    async def prepare(self) -> Sequence[str]:
        place, said = self._place, []
        try:
            for subject in dict.fromkeys((place.input, place.output, place.dead_letter)):
                said.append(f"stream {await self._made(subject)!r} holds {subject!r}")
        except FAILURES as exc:
            raise broken(exc) from exc
        await self._listen()
        source = open_source(place)  # which makes its consumer
        await source.open()
        await source.close()
        return [*said, f"consumer {place.group!r} takes from {place.input!r}"]

    async def send(self, events: Sequence[Sent]) -> None:
        place, most = self._place, self._client.max_payload
        try:
            sent = [
                await self._stream.publish_async(place.input, one.body, headers=dict(one.headers)) for one in events
            ]
            await asyncio.wait_for(asyncio.gather(*sent), CONFIRM_S)
        except MaxPayloadError as exc:
            msg = f"{place.url}: an event is larger than the broker takes, {most} bytes\n  send a smaller one; its setting is max_payload"
            raise ConnectionError(msg) from exc
        except FAILURES as exc:
            msg = f"{place.url}: no stream has confirmed what was sent to {place.input!r}: {broken(exc)}"
            raise ConnectionError(msg) from exc

    async def read(self) -> Sequence[Heard]:
        try:
            found = [await asyncio.wait_for(self._heard.get(), WAIT_S)]
        except TimeoutError:
            return []
        while not self._heard.empty():
            found.append(self._heard.get_nowait())
        return found

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    async def _listen(self) -> None:
        """Hear what comes to the two streams, as far as they are there."""
        for subject, is_dead in ((self._place.output, False), (self._place.dead_letter, True)):
            if subject in self._listens:
                continue
            config = ConsumerConfig(deliver_policy=DeliverPolicy.NEW)  # the client writes into it
            try:
                await self._stream.subscribe(subject, cb=self._hearing(is_dead), ordered_consumer=True, config=config)
            except NotFoundError:
                continue  # no stream holds it, so that nothing will come
            except FAILURES as exc:
                raise broken(exc) from exc
            self._listens.add(subject)

    def _hearing(self, is_dead: bool) -> Any:
        async def hear(message: Any) -> None:
            headers = {name.lower(): value for name, value in (message.headers or {}).items()}
            self._heard.put_nowait(Back(is_dead, headers, message.data))

        return hear

    async def _made(self, subject: str) -> str:
        """Return the name of the stream that holds a subject, made if need be."""
        try:
            return str(await self._stream.find_stream_name_by_subject(subject))
        except NotFoundError:
            name = stream_of(subject)
            await tried(self._stream.add_stream(name=name, subjects=[subject]))
            return name
