"""The other side of Redis Streams: who makes the group, sends events and hears what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import DATA, connected, open_source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelyard.serving.events.peer import Heard, Sent
    from modelyard.serving.events.source import Place

    from .resp import Connection

WAIT_MS = 500


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
        self._last: dict[bytes, bytes] = {}
        self._connection: Connection | None = None

    async def open(self) -> None:
        self._connection = await connected(self._place)
        for key in (self._place.output, self._place.dead_letter):
            last = await self._connection.ask(b"XREVRANGE", key.encode(), b"+", b"-", b"COUNT", b"1")
            self._last[key.encode()] = last[0][0] if last else b"0-0"

    async def prepare(self) -> Sequence[str]:
        place, source = self._place, open_source(self._place)
        await source.open()  # which makes its group, and the stream with it
        await source.close()
        return [
            f"group {place.group!r} takes from the stream {place.input!r}",
            f"streams {place.output!r} and {place.dead_letter!r} begin with what they are sent first",
        ]

    async def send(self, events: Sequence[Sent]) -> None:
        assert self._connection is not None
        key = self._place.input.encode()
        commands = [(b"XADD", key, b"*", *_fields(one)) for one in events]
        for reply in await self._connection.ask_all(commands):
            if isinstance(reply, Exception):
                raise reply

    async def read(self) -> Sequence[Heard]:
        assert self._connection is not None
        keys = list(self._last)
        reply = await self._connection.ask(
            *(b"XREAD", b"COUNT", b"256", b"BLOCK", b"%d" % WAIT_MS, b"STREAMS"), *keys, *self._last.values()
        )
        found: list[Heard] = []
        for key, entries in reply or ():
            self._last[key] = entries[-1][0]
            found += [_back(fields, is_dead=key == keys[1]) for _, fields in entries]
        return found

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def _fields(event: Sent) -> list[bytes]:
    return [*(text.encode() for pair in event.headers.items() for text in pair), DATA, event.body]


def _back(fields: Sequence[bytes], *, is_dead: bool) -> Back:
    pairs = dict(zip(fields[::2], fields[1::2], strict=True))
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in pairs.items() if name != DATA}
    return Back(is_dead, headers, pairs.get(DATA, b""))
