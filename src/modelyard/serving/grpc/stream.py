"""One call: what came of it, and what of its answer is still to go."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import RequestError
from .frames import INITIAL_WINDOW, PREFIX_BYTES

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from ..messages import Request

_TIMEOUT = re.compile(rb"(\d{1,8})([HMSmun])")
_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}


@dataclass(eq=False, slots=True)
class Stream:
    """A call of a client.

    Attributes:
        number: the stream's.
        request: its path and metadata; its body is the message, without prefix.
        start_s: when it began, on `time.perf_counter`.
        turn_s: since when it is the client's turn, to send or to take, on the loop's clock.
        window: bytes that the client takes now.
        admitted: whether it is read; else it waits until its password may be looked at.
        whole: whether the client has sent all.
        data: what came of the message and its prefix.
        expected: its size when it is whole; None: not known yet.
        granted: bytes that the client may send.
        held: what is counted for it.
        opened: whether an answer has begun to go.
        outgoing: of the answer, what does not fit into the window.
        ending: the header block that ends the answer, when that is known.
        take_back: takes the request out of the queue.
        timer: what ends the call at its deadline, or lets it in.
    """

    number: int
    request: Request
    start_s: float
    turn_s: float
    window: int
    admitted: bool = False
    whole: bool = False
    data: bytes | bytearray = b""
    expected: int | None = None
    granted: int = INITIAL_WINDOW
    held: int = 0
    opened: bool = False
    outgoing: bytes = b""
    ending: bytes | None = None
    take_back: Callable[[], None] | None = None
    timer: asyncio.TimerHandle | None = None

    def add(self, data: bytes) -> None:
        """Keep a part of the message: as it is if that is all, for most are small."""
        if not self.data:
            self.data = data
            return
        if isinstance(self.data, bytes):
            self.data = bytearray(self.data)
        self.data += data

    def check(self, largest: int) -> None:
        """Look at the message's size as soon as it is known.

        Raises:
            RequestError: it is larger than `largest` bytes, or more than one message.
        """
        if self.expected is None and len(self.data) >= PREFIX_BYTES:
            size = int.from_bytes(self.data[1:PREFIX_BYTES], "big")
            if size > largest:
                raise RequestError(413, f"the request's message is larger than {largest} bytes")
            self.expected = size + PREFIX_BYTES
        if self.expected is not None and len(self.data) > self.expected:
            raise RequestError(400, "more than one message came; each call takes one")

    def finish(self) -> None:
        """Make the message of its parts.

        Raises:
            RequestError: it is not whole.
        """
        data = self.data
        if self.expected is None or len(data) != self.expected:
            raise RequestError(400, "the request's message is cut short" if data else "no message came")
        if data[0]:
            coding = self.request.headers.get(b"grpc-encoding", b"identity")
            if data[0] > 1 or coding == b"identity":
                raise RequestError(400, "the message is said to be compressed, but 'grpc-encoding' does not say how")
            self.request.headers[b"content-encoding"] = coding
        self.data, self.request.body = b"", data[PREFIX_BYTES:]


def timeout_s(request: Request) -> float | None:
    """Return how long the client waits for the answer, in seconds; None: as long as it takes.

    Raises:
        RequestError: 'grpc-timeout' is no time.
    """
    text = request.headers.get(b"grpc-timeout")
    if text is None:
        return None
    match = _TIMEOUT.fullmatch(text)
    if match is None:
        raise RequestError(
            400, f"'grpc-timeout' is {text.decode('latin-1')!r}, expected up to 8 digits and a unit, H M S m u n"
        )
    return int(match[1]) * _UNITS[match[2]]
