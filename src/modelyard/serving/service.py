"""What the connections ask of what is behind them, whichever protocol they speak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .messages import Request, Response


class Peer(Protocol):
    """A client's connection, as far as the password goes.

    Attributes:
        peer: the client's address.
        trusted: whether the client has given the password here.
    """

    peer: str
    trusted: bool


class Service(Protocol):
    """What is behind the connections; how it answers is each protocol's own."""

    def began(self, request: Request) -> None:
        """Take note of a request, and give it its place in a trace."""
        ...

    def hold_s(self, request: Request, connection: Peer) -> float:
        """Return how long the request waits before it is looked at, in seconds."""
        ...

    def admit(self, request: Request, connection: Peer) -> Response | None:
        """Return the refusal of a request that is not to be read, or None."""
        ...

    def closing(self) -> bool:
        """Return whether clients are asked to leave."""
        ...

    def answered(self, request: Request | None, status: int, duration_s: float, peer: str) -> None:
        """Take note of an answer; None: to what is no request."""
        ...
