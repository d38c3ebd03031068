"""The protocol of Redis, RESP2: commands are lists of bytes, and each is answered in its turn.

Source: Redis, serialization protocol specification.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

Reply = Any
"""A number, bytes, None, a list of replies, or a `ReplyError`."""

CONNECT_S, ANSWER_S = 2.0, 10.0
LIMIT = 1 << 16
_FAILURES = (OSError, EOFError, TimeoutError, ValueError)


class ReplyError(ConnectionError):
    """The server does not do what it was asked.

    Attributes:
        code: the first word of what it says, for instance `WRONGTYPE`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = message.partition(" ")[0]


class Connection:
    """A connection to a server. One task asks at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, where: str) -> None:
        self._incoming, self._writer, self._where = Incoming(reader), writer, where
        self._asking = asyncio.Lock()

    @classmethod
    async def open(cls, host: str, port: int, tls: ssl.SSLContext | None) -> Connection:
        """Connect.

        Raises:
            ConnectionError: nobody answers there, or its certificate is not trusted.
        """
        where = f"{host}:{port}"
        try:
            connecting = asyncio.open_connection(host, port, ssl=tls, limit=LIMIT)
            return cls(*await asyncio.wait_for(connecting, CONNECT_S), where)
        except _FAILURES as exc:
            raise _failure(where, exc) from exc

    async def ask(self, *command: bytes) -> Reply:
        """Return the answer to one command.

        Raises:
            ReplyError: it is an error.
            ConnectionError: there is none.
        """
        (reply,) = await self.ask_all([command])
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    async def ask_all(self, commands: Sequence[Sequence[bytes]]) -> list[Reply]:
        """Return the answers to `commands`, which are sent together.

        Raises:
            ConnectionError: some have none.
        """
        if not commands:
            return []
        try:
            async with self._asking:
                self._writer.write(b"".join(map(packed, commands)))
                return await asyncio.wait_for(self._replies(len(commands)), ANSWER_S)
        except BaseException as exc:
            self.close()  # what comes now would be the answer to something else
            if isinstance(exc, _FAILURES):
                raise _failure(self._where, exc) from exc
            raise

    def close(self) -> None:
        """Leave."""
        self._writer.close()

    async def _replies(self, count: int) -> list[Reply]:
        await self._writer.drain()
        return [await self._reply() for _ in range(count)]

    async def _reply(self) -> Reply:
        line = await self._incoming.line()
        kind, text = line[:1], line[1:]
        if kind == b"$":
            size = int(text)
            return None if size < 0 else (await self._incoming.exactly(size + 2))[:-2]
        if kind == b"*":
            size = int(text)
            return None if size < 0 else [await self._reply() for _ in range(size)]
        if kind == b":":
            return int(text)
        if kind == b"-":
            return ReplyError(text.decode("utf-8", "replace"))
        if kind == b"+":
            return text
        msg = f"not the protocol of Redis: {line[:40]!r}"
        raise ValueError(msg)


class Incoming:
    """What comes from a server, read many bytes at once: an event has two dozen lines."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._data, self._at = b"", 0

    async def line(self) -> bytes:
        """Return what comes before the next line end.

        Raises:
            ValueError: it is longer than `LIMIT`.
            EOFError: the connection has ended.
        """
        while (end := self._data.find(b"\r\n", self._at)) < 0:
            if len(self._data) - self._at > LIMIT:
                msg = f"a line of more than {LIMIT} bytes"
                raise ValueError(msg)
            more = await self._reader.read(LIMIT)
            if not more:
                msg = "the connection has ended"
                raise EOFError(msg)
            self._data, self._at = self._data[self._at :] + more, 0
        start, self._at = self._at, end + 2
        return self._data[start:end]

    async def exactly(self, size: int) -> bytes:
        """Return the next `size` bytes.

        Raises:
            EOFError: the connection has ended.
        """
        start, self._at = self._at, self._at + size
        found = self._data[start : self._at]
        if len(found) < size:  # a large one is copied once
            self._data, self._at = b"", 0
            found += await self._reader.readexactly(size - len(found))
        return found


def packed(command: Sequence[bytes]) -> bytes:
    """Return a command as it is sent."""
    return b"*%d\r\n" % len(command) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in command)


def _failure(where: str, exc: BaseException) -> ConnectionError:
    return ConnectionError(f"{where}: {' '.join(str(exc).split()) or type(exc).__name__}")
