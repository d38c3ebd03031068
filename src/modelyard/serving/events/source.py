"""What a broker does for the consumer: it hands events out, takes their answers, and forgets what is acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .event import Event


class Delivery(Protocol):
    """An event that the broker handed out, and wants to hear of.

    Attributes:
        headers: its header fields, by names in lower case.
        body: what came, byte for byte.
        attempt: how often it was handed out, 1 the first time.
    """

    @property
    def headers(self) -> Mapping[bytes, bytes]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def attempt(self) -> int: ...

    async def acknowledge(self) -> None:
        """Have the broker forget it; return when it has."""

    async def put_back(self, delay_s: float) -> None:
        """Have the broker hand it out again after `delay_s` seconds."""

    async def keep(self) -> None:
        """Have the broker not hand it to another, for it is being worked at."""


D = TypeVar("D", bound=Delivery)


class Source(Protocol[D]):
    """One broker's stream of events in, and its two out: of answers, and of dead letters.

    Every method may raise `ConnectionError`: the broker is not there, or did not confirm.
    """

    async def open(self) -> None:
        """Connect, and make the consumer if it is not there."""

    async def take(self, most: int) -> Sequence[D]:
        """Return what is there, `most` events at most; after a second, nothing."""

    async def publish(self, event: Event) -> None:
        """Send an answer; return when the broker has it."""

    async def bury(self, delivery: D, attributes: Mapping[str, str]) -> None:
        """Send a dead letter, what came byte for byte, with `attributes` beside it; return when the broker has it."""

    async def close(self) -> None:
        """Leave."""
