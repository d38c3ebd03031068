"""Who speaks with the broker from the other side: makes what must be there, sends events, and reads what became of them.

A server needs it for `--events-setup` alone; people, and the check of an image, send by it. Like a source's, a peer's code
is in the package of the broker's client, and imports nothing of the server when it runs.
"""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol, cast

from ..errors import StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .source import Place

    OpenPeer = Callable[["Place"], "Peer"]


class Sent(Protocol):
    """An event that is sent.

    Attributes:
        headers: its header fields, by names in lower case, printable ASCII.
        body: its data.
    """

    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


class Heard(Protocol):
    """What came back.

    Attributes:
        is_dead: it is a dead letter, and no answer.
        headers: its header fields, by names in lower case.
        body: its data, byte for byte.
    """

    @property
    def is_dead(self) -> bool: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


class Peer(Protocol):
    """The other side of a broker's streams. Every method may raise `ConnectionError`, with a reason for people."""

    async def open(self) -> None:
        """Connect, and hear from now on what is sent to the streams of answers and of dead letters, if they are there."""

    async def prepare(self) -> Sequence[str]:
        """Make what the server needs at the broker and is not there; return, in words, what is there then."""

    async def send(self, events: Sequence[Sent]) -> None:
        """Send to the stream of events; return when the broker has confirmed them all."""

    async def read(self) -> Sequence[Heard]:
        """Return what has come back; after half a second, nothing."""

    async def close(self) -> None:
        """Leave."""


def open_peer(client: str, place: Place) -> Peer:
    """Return the peer that the package of `client`, `module:open_source`, has for `place`.

    Raises:
        StartError: it has none, or none for that place.
    """
    module = client.partition(":")[0]
    try:
        function = cast("OpenPeer", importlib.import_module(module).open_peer)
    except ImportError as exc:
        msg = f"MODELYARD_EVENTS_CLIENT: {client!r} cannot be loaded: {exc}"
        raise StartError(msg) from exc
    except AttributeError as exc:
        msg = f"MODELYARD_EVENTS_CLIENT: the package {module!r} has no open_peer: it can take events, and not send or prepare any"
        raise StartError(msg) from exc
    try:
        return function(place)
    except ValueError as exc:
        msg = f"MODELYARD_EVENTS_{exc}"
        raise StartError(msg) from exc
