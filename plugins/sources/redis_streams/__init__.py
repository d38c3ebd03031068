"""Redis Streams: a group of consumers, and what it has not acknowledged.

It is copied into images as it is, and imports nothing else; see `modelyard.serving.events.source`. It speaks the protocol
itself: that takes a hundred lines, and of what a client's package of half a megabyte has, nothing else is needed.

An answer, or a dead letter, and the acknowledgement of its event are one script, which the server runs as a whole: what
is acknowledged is answered, and what another has acknowledged meanwhile is not answered again.

Source: Redis, XREADGROUP, XAUTOCLAIM, XCLAIM, XPENDING, EVAL; version 6.2 and later.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .resp import Connection, Reply, ReplyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelyard.serving.events.source import Ending, Place

    from .peer import Peer

WAIT_MS, EVERY_S = 1000, 0.5
DATA = b"data"
_FORGOTTEN_MS = 3_600_000
"""How long a consumer without events must have been silent to be taken off the group's list."""

SETTLE = b"""
if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1) == 0 then return 0 end
if #ARGV > 2 then redis.call('XADD', KEYS[2], '*', unpack(ARGV, 3)) end
return redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
"""
"""Send the fields from the third argument on to the second key, and have the event forgotten, if it is not already."""

TIDY = b"""
for _, one in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local told = {}
  for i = 1, #one, 2 do told[one[i]] = one[i + 1] end
  if told['pending'] == 0 and told['idle'] > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], told['name'])
  end
end
"""
"""Take consumers off the list that hold nothing and have been silent for long: each process has a name of its own."""


def open_source(place: Place) -> Redis:
    """Return what takes events from the stream with the key `place.input`.

    Raises:
        ValueError: the place cannot be one of Redis; the message begins with the name of what is wrong with it.
    """
    url = urlsplit(place.url)
    if url.scheme not in ("redis", "rediss") or not url.hostname or not re.fullmatch(r"/?\d{0,4}", url.path):
        msg = f"URL: {place.url!r}; allowed: redis://HOST:PORT, or rediss://HOST:PORT, each with /NUMBER of a database"
        raise ValueError(msg)
    return Redis(place)


def open_peer(place: Place) -> Peer:
    """Return who sends events to the stream `place.input`, and hears what becomes of them."""
    from .peer import Peer

    open_source(place)  # refuses what can be no place
    return Peer(place)


class RedisDelivery:
    """An entry of a stream; see `modelyard.serving.events.source.Delivery`."""

    __slots__ = ("attempt", "body", "fields", "headers", "id", "origin")

    def __init__(self, key: str, entry: Sequence[Any], attempt: int) -> None:
        self.id: bytes = entry[0]
        self.fields: list[bytes] = entry[1]
        pairs = list(zip(self.fields[::2], self.fields[1::2], strict=True))
        self.headers: Mapping[bytes, bytes] = {name.lower(): value for name, value in pairs if name != DATA}
        self.body: bytes = dict(pairs).get(DATA, b"")
        self.attempt = attempt
        self.origin = f"{key}/{self.id.decode()}"


class Redis:
    """A stream of Redis; see `modelyard.serving.events.source.Source`."""

    rests = True

    def __init__(self, place: Place) -> None:
        self._place = place
        self._input, self._group, self._member = (text.encode() for text in (place.input, place.group, place.member))
        self._lease_ms = int(place.lease_s * 1000)
        self._reading: Connection | None = None
        self._telling: Connection | None = None
        self._cursor, self._looked = b"0-0", 0.0

    async def open(self) -> None:
        await self.close()
        # one waits for events, and the other is free meanwhile
        self._reading, self._telling = await connected(self._place), await connected(self._place)
        try:
            await self._telling.ask(b"XGROUP", b"CREATE", self._input, self._group, b"0", b"MKSTREAM")
        except ReplyError as exc:
            if exc.code != "BUSYGROUP":
                raise
        await self._telling.ask(b"EVAL", TIDY, b"1", self._input, self._group, str(_FORGOTTEN_MS).encode())

    async def take(self, most: int) -> Sequence[RedisDelivery]:
        assert self._reading is not None
        taken = await self._left_behind(self._reading, most)
        if taken:
            return taken
        reply = await self._reading.ask(
            *(b"XREADGROUP", b"GROUP", self._group, self._member),
            *(b"COUNT", b"%d" % most, b"BLOCK", b"%d" % WAIT_MS, b"STREAMS", self._input, b">"),
        )
        return [RedisDelivery(self._place.input, entry, 1) for _, entries in reply or () for entry in entries]

    async def settle(self, endings: Sequence[Ending[RedisDelivery]]) -> Sequence[Exception | None]:
        assert self._telling is not None
        replies = await self._telling.ask_all([self._command(one) for one in endings])
        return [_problem(one) for one in replies]

    async def keep(self, deliveries: Sequence[RedisDelivery]) -> None:
        assert self._telling is not None
        ids = [one.id for one in deliveries]
        await self._telling.ask(b"XCLAIM", self._input, self._group, self._member, b"0", *ids, b"JUSTID")

    async def close(self) -> None:
        for connection in (self._reading, self._telling):
            if connection is not None:
                connection.close()

    async def _left_behind(self, reading: Connection, most: int) -> list[RedisDelivery]:
        """Return events of consumers that have gone, and those that have rested for long enough."""
        now = time.monotonic()
        if now < self._looked + EVERY_S and self._cursor == b"0-0":
            return []
        self._looked = now
        claim = (b"XAUTOCLAIM", self._input, self._group, self._member, b"%d" % self._lease_ms, self._cursor)
        reply = await reading.ask(*claim, b"COUNT", b"%d" % most)
        self._cursor = reply[0]
        entries = [one for one in reply[1] if one and one[1] is not None]  # others were deleted
        asked = [(b"XPENDING", self._input, self._group, one[0], one[0], b"1") for one in entries]
        counts = await reading.ask_all(asked)
        return [
            RedisDelivery(self._place.input, entry, int(told[0][3]) if isinstance(told, list) and told else 1)
            for entry, told in zip(entries, counts, strict=True)
        ]

    def _command(self, ending: Ending[RedisDelivery]) -> tuple[bytes, ...]:
        """Return what tells the server what became of an event."""
        place, delivery, sent, key = self._place, ending.delivery, [], self._place.output
        if ending.rest_s is not None:
            # as if its lease had begun so long ago that it ends when the rest does; a lease is the longest rest
            idle_ms = max(0, self._lease_ms - int(ending.rest_s * 1000))
            claim = (b"XCLAIM", self._input, self._group, self._member, b"0", delivery.id)
            return (*claim, b"IDLE", b"%d" % idle_ms, b"JUSTID")
        if ending.answer is not None:
            sent = [*_flat(ending.answer.headers), DATA, ending.answer.body]
        elif ending.dead_letter is not None:
            sent, key = [*delivery.fields, *_flat(ending.dead_letter)], place.dead_letter
        return (b"EVAL", SETTLE, b"2", self._input, key.encode(), self._group, delivery.id, *sent)


async def connected(place: Place) -> Connection:
    """Return a connection with the broker.

    Raises:
        ConnectionError: it is not there, or lets nobody in.
    """
    url, (username, password) = urlsplit(place.url), place.login()
    tls = place.tls.context() if url.scheme == "rediss" else None
    connection = await Connection.open(str(url.hostname), url.port or 6379, tls)
    if password:
        login = (username, password) if username else (password,)
        await connection.ask(b"AUTH", *(word.encode() for word in login))
    if database := url.path.strip("/"):
        await connection.ask(b"SELECT", database.encode())
    return connection


def _flat(headers: Mapping[str, str]) -> list[bytes]:
    return [text.encode() for pair in headers.items() for text in pair]


def _problem(reply: Reply) -> Exception | None:
    return reply if isinstance(reply, Exception) else None
