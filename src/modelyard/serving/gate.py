"""What all connections of a process share: how many there are, what they hold, and how long each may keep us waiting."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .logs import log

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable


class Client(Protocol):
    """What the gate asks of a connection."""

    def overdue(self) -> None:
        """Its time is up: answer so, if it can still be answered, and close."""

    def drop(self) -> None:
        """Close at once."""

    def leave(self) -> None:
        """Close when the request that is being answered is."""


@dataclass(frozen=True)
class Allowance:
    """What clients may take, of one process.

    Attributes:
        connections: how many may be open.
        held_bytes: what all requests that are not answered may hold.
        header_bytes: the size of a request's line and header fields.
        header_s: the time for them, from the first byte, or from the connection's start.
        body_s: the time for a body, and for taking an answer.
        idle_s: how long a connection may stay between two requests.
    """

    connections: int
    held_bytes: int
    header_bytes: int
    header_s: float
    body_s: float
    idle_s: float


class Gate:
    """Counts connections and bytes, and closes those that keep us waiting for too long."""

    EVERY_S = 0.5

    def __init__(self, allowance: Allowance, count: Callable[[int, int], None]) -> None:
        self.allowance = allowance
        self.open: set[Client] = set()
        self.held_bytes = 0
        self._waiting: dict[Client, float] = {}
        self._count = count
        self._warned = False

    def sweep(self, loop: AbstractEventLoop) -> None:
        """Close what is overdue, now and every `EVERY_S` seconds."""
        now = loop.time()
        for connection in [one for one, deadline in self._waiting.items() if deadline <= now]:
            connection.overdue()
        self._count(len(self.open), self.held_bytes)
        loop.call_later(self.EVERY_S, self.sweep, loop)

    def enter(self, connection: Client) -> None:
        """Let `connection` in, if need be in place of the one that has kept us waiting for longest."""
        if len(self.open) >= self.allowance.connections:
            if not self._warned:
                self._warned = True
                log(logging.WARNING, "connections", limit=self.allowance.connections, action="the slowest are closed")
            self.evict()
        self.open.add(connection)
        self._count(len(self.open), self.held_bytes)

    def leave(self, connection: Client) -> None:
        """Forget `connection`, which is closed."""
        self.open.discard(connection)
        self._waiting.pop(connection, None)
        self._count(len(self.open), self.held_bytes)

    def evict(self) -> bool:
        """Close the connection that has kept us waiting for longest; return whether there was one."""
        slowest = next(iter(self._waiting), None)
        if slowest is not None:
            self.leave(slowest)
            slowest.drop()
        return slowest is not None

    def wait(self, connection: Client, deadline: float) -> None:
        """From now on it is the client's turn, until `deadline` on the loop's clock."""
        self._waiting.pop(connection, None)  # to the end: the first has waited for longest
        self._waiting[connection] = deadline

    def go_on(self, connection: Client) -> None:
        """The client did its part."""
        self._waiting.pop(connection, None)

    def hold(self, size: int) -> bool:
        """Count `size` bytes that are kept for a request; return whether there is room for them."""
        self.held_bytes += size
        return self.held_bytes <= self.allowance.held_bytes
