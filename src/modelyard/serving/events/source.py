"""What a broker's client does for the consumer: it hands events out, takes their answers, and has them forgotten.

A client is a package of its own, which is copied into the image beside the server and imports nothing of it when it
runs: all that it is given, and gives, is described here.
"""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import importlib
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from ..errors import StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    OpenSource = Callable[["Place"], "Source[Any]"]


@dataclass(frozen=True)
class Place:
    """Where events come from and go to.

    Attributes:
        url: the broker's, `SCHEME://HOST[:PORT]`, without a user name.
        input: where the broker has the events.
        output: where it takes their answers.
        dead_letter: where it takes what cannot be answered.
        group: the name that all consumers have in common that share the work.
        member: the name that this one alone has.
        client_id: the name that this one alone has, and has again when it is started anew.
        lease_s: how long an event may be worked at before another gets it, in seconds.
        most: how many events are held at a time.
        order: `none`, or `key`: events with the same partition key are worked at one after another.
        login: gives user name and password as they are now, None for what there is not; to be called at each connection.
        tls: what TLS is spoken with.
    """

    url: str
    input: str
    output: str
    dead_letter: str
    group: str
    member: str
    client_id: str
    lease_s: float
    most: int
    order: str
    login: Callable[[], tuple[str | None, str | None]]
    tls: Tls


@dataclass(frozen=True)
class Tls:
    """The files that TLS is spoken with.

    Attributes:
        ca_file: the certificates of whom the broker's is trusted, PEM; None: those of the system.
        cert_file: the certificate chain that is shown to the broker, PEM; None: none.
        key_file: its private key, PEM.
    """

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Return what a connection is encrypted with, of the files as they are now.

        Raises:
            ConnectionError: they are not fit to be used; the message names the variable.
        """
        name = "MODELYARD_EVENTS_CA_FILE"
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                name = "MODELYARD_EVENTS_CERT_FILE, MODELYARD_EVENTS_KEY_FILE"
                context.load_cert_chain(self.cert_file, self.key_file, password="")
        except (OSError, ValueError) as exc:
            msg = f"{name}: {getattr(exc, 'strerror', None) or exc}"
            raise ConnectionError(msg) from exc
        return context


class Delivery(Protocol):
    """An event that the broker handed out, and wants to hear of.

    Attributes:
        headers: its header fields, by names in lower case; `ce-...` are the attributes of a CloudEvent.
        body: what came, byte for byte.
        attempt: how often it was handed out, 1 the first time, and always where the broker does not count.
        origin: its place in the broker, as text.
    """

    @property
    def headers(self) -> Mapping[bytes, bytes]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def attempt(self) -> int: ...
    @property
    def origin(self) -> str: ...


D = TypeVar("D", bound=Delivery)


@dataclass(frozen=True, slots=True)
class Answer:
    """An event that answers another.

    Attributes:
        id: its id; a broker that is given it twice may leave the second out.
        headers: its header fields, printable ASCII.
        body: its data.
    """

    id: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Ending(Generic[D]):
    """What becomes of an event: one of the following, or nothing is to be sent and it is to be forgotten.

    Attributes:
        delivery: the event.
        answer: what answers it.
        dead_letter: it is put aside as it came, with its header fields and these further ones, printable ASCII.
        rest_s: it is to be handed out again, after so many seconds at least; 0 where the source does not let events rest.
    """

    delivery: D
    answer: Answer | None = None
    dead_letter: Mapping[str, str] | None = None
    rest_s: float | None = None


class Source(Protocol[D]):
    """One broker's stream of events in, and its two out: of answers, and of dead letters.

    Every method may raise `ConnectionError`: the broker is not there, or does not do what it is asked. Then `open` is
    called again, and deliveries from before stay good.

    Attributes:
        rests: whether the broker hands an event out again when it has rested; if not, it rests here, and is kept.
    """

    @property
    def rests(self) -> bool: ...

    async def open(self) -> None:
        """Connect, anew if need be, and make the group if it is not there."""

    async def take(self, most: int) -> Sequence[D]:
        """Return what is there, `most` events at most; after a second, nothing."""

    async def settle(self, endings: Sequence[Ending[D]]) -> Sequence[Exception | None]:
        """Send the answers and the dead letters, and have each event forgotten once the broker has what was sent for it.

        It is called by one task at a time, while another may be in `take`.

        Returns:
            For each: None, if all that is done; else why not. `ValueError`: the broker will never take it.
            `BlockingIOError`: another event must end before; it is given again with whatever ends next.
        """

    async def keep(self, deliveries: Sequence[D]) -> None:
        """Have the broker not hand these to another, for they are being worked at."""

    async def close(self) -> None:
        """Leave."""


def open_source(client: str, place: Place) -> Source[Any]:
    """Return the source that `client`, `module:function`, has for `place`.

    Raises:
        StartError: there is no such client, or it cannot be for that place.
    """
    module, colon, name = client.partition(":")
    if not colon:
        msg = f"MODELYARD_EVENTS_CLIENT: {client!r}; allowed: module:function"
        raise StartError(msg)
    try:
        function = cast("OpenSource", getattr(importlib.import_module(module), name))
    except (ImportError, AttributeError) as exc:
        msg = f"MODELYARD_EVENTS_CLIENT: {client!r} cannot be loaded: {exc}"
        raise StartError(msg) from exc
    try:
        return function(place)
    except ValueError as exc:
        msg = f"MODELYARD_EVENTS_{exc}"
        raise StartError(msg) from exc
