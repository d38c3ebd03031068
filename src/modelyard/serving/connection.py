"""One client's connection: requests one after the other, within limits of size and time, and their answers."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from .errors import RequestError
from .incoming import Incoming
from .messages import Request, Response, error_response
from .service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from .gate import Gate

AHEAD_BYTES = 16 * 1024
"""What is read of the next requests while one is answered."""
LINGER_S, LINGER_BODIES = 5.0, 4
"""How long, and for how many of the largest bodies, we read on after a refusal: a client that still sends would not see it."""
HALF_CLOSE_S = 1.0
"""A client that ends its side this soon after its request waits for the answer; one that does so later has given up."""

_END = b"\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Turn(Enum):
    """What a connection does."""

    HEAD = "reads the request's line and header fields, or waits for them"
    HELD = "waits before it looks at a password"
    BODY = "reads a body"
    ANSWER = "waits for the answer"
    TAKEN = "waits for the client to take the answer"
    LINGER = "reads on after a refusal"
    CLOSED = "is closed, or will be when what was written is sent"


class HttpService(Service, Protocol):
    """What is behind the connections for HTTP.

    Attributes:
        max_body_bytes: the size of a body as sent.
    """

    max_body_bytes: int

    def answer(self, request: Request, connection: Connection) -> Callable[[], None] | None:
        """Answer by `connection.respond`, now or later; if later, return what takes the request back."""
        ...


class Connection(asyncio.Protocol):
    """Reads requests, one at a time, and writes their answers.

    Attributes:
        peer: the client's address.
        trusted: whether the client has given the password here.
    """

    def __init__(self, service: HttpService, gate: Gate, loop: asyncio.AbstractEventLoop) -> None:
        self.peer, self.trusted = "", False
        self._service, self._gate, self._loop = service, gate, loop
        self._incoming = Incoming(service.max_body_bytes)
        self._turn = Turn.HEAD
        self._buffer = b""
        self._held_bytes = 0
        self._begun = self._close = self._ended = self._paused = self._full = self._inside = False
        self._request: Request | None = None
        self._take_back: Callable[[], None] | None = None
        self._start_s = time.perf_counter()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport: Any = transport
        address = transport.get_extra_info("peername")
        self.peer = address[0] if address else ""
        self._gate.enter(self)
        self._begun = True  # the time for the first request's head runs from here
        self._wait(self._gate.allowance.header_s)

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        if self._turn is Turn.LINGER:
            self._linger(len(data))
        elif self._turn is not Turn.CLOSED:
            self._buffer = self._buffer + data if self._buffer else data
            self._advance()

    def eof_received(self) -> bool:
        """The client sends no more: it gets the answer to what it sent whole, unless it seems to have gone."""
        self._ended = True
        waits = self._turn in (Turn.ANSWER, Turn.TAKEN, Turn.HELD, Turn.CLOSED)
        if self._turn is Turn.ANSWER and time.perf_counter() - self._whole_s > HALF_CLOSE_S:
            waits = False
        return waits and self._transport.get_extra_info("sslcontext") is None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """Forget everything, and take back what is not answered."""
        self._turn = Turn.CLOSED
        self._gate.leave(self)
        take_back, self._take_back = self._take_back, None
        if take_back is not None:
            take_back()
        if self._request is not None:
            self._note(499)
        self._buffer = b""
        self._incoming.close()
        self._hold()

    def pause_writing(self) -> None:
        """The client takes its answer slowly."""
        self._full = True

    def resume_writing(self) -> None:
        """The client has taken its answer."""
        self._full = False
        if self._turn is Turn.TAKEN:
            self._turn = Turn.HEAD
            self._advance()

    # What the server calls.

    def respond(self, response: Response) -> None:
        """Write the answer to the request, and go on with the next."""
        self._take_back = None
        if self._turn is not Turn.ANSWER:
            return  # the client has gone
        close = self._close or self._incoming.last or self._ended or self._service.closing()
        self._write(response, close=close)
        self._incoming.drop()
        self._begun = False
        if close:
            self._finish()
        else:
            self._turn = Turn.TAKEN if self._full else Turn.HEAD
        if not self._inside:
            self._advance()

    def overdue(self) -> None:
        """The client has kept us waiting for too long."""
        if self._turn is Turn.BODY or (self._turn is Turn.HEAD and self._buffer):
            part = "body" if self._turn is Turn.BODY else "header fields"
            self._refuse(error_response(408, f"the request's {part} took too long to come"))
        else:
            self.drop()

    def drop(self) -> None:
        """Close the connection as it is."""
        self._turn = Turn.CLOSED
        self._transport.abort()

    def leave(self) -> None:
        """Close the connection if no request is on its way; else after it."""
        self._close = True
        if self._turn is Turn.HEAD and not self._buffer:
            self._finish()

    # Reading.

    def _advance(self) -> None:
        """Read and answer what is there; then note whose turn it is."""
        while (self._turn is Turn.HEAD and self._read_head()) or (self._turn is Turn.BODY and self._read_body()):
            pass
        if not self._hold() and self._turn in (Turn.HEAD, Turn.BODY):
            self._refuse_for_room()
        if self._turn is Turn.HEAD:
            self._await_head()
        elif self._turn is Turn.TAKEN:
            self._wait(self._gate.allowance.body_s)
        self._set_reading()

    def _await_head(self) -> None:
        if not self._buffer:
            if not self._begun:
                self._wait(self._gate.allowance.idle_s)
        elif not self._begun:
            self._begun = True
            self._wait(self._gate.allowance.header_s)

    def _read_head(self) -> bool:
        """Read a request's line and header fields; return whether there may be more to do."""
        if not self._buffer:
            return False
        end = self._buffer.find(_END)
        if end < 0 or end > self._gate.allowance.header_bytes:
            self._check_partial_head(self._buffer)
            return False
        head, self._buffer = self._buffer[: end + 4], self._buffer[end + 4 :]
        self._start_s = self._whole_s = time.perf_counter()
        try:
            request = self._incoming.read_head(head)
        except RequestError as exc:
            return self._refuse(error_response(exc.status, exc.message))
        return self._begin(request) if request is not None else True

    def _check_partial_head(self, head: bytes) -> None:
        limit = self._gate.allowance.header_bytes
        line, ends, _ = head.partition(b"\n")
        if len(head) > limit:
            self._refuse(error_response(431, f"the request's line and header fields are larger than {limit} bytes"))
        elif not (head[:1].isalpha() or head[:1] == b"\r") or (ends and not line.endswith(b"\r")):
            self._refuse(error_response(400, "not an HTTP request"))

    def _begin(self, request: Request) -> bool:
        """Look at the head of a request; return whether there may be more to do."""
        self._request = request
        self._service.began(request)
        wait_s = self._service.hold_s(request, self)
        if not wait_s:
            return self._admit(request)
        self._turn = Turn.HELD
        self._gate.go_on(self)
        self._loop.call_later(wait_s, self._go_on)
        return False

    def _go_on(self) -> None:
        if self._turn is Turn.HELD and self._request is not None:
            self._admit(self._request)
            self._advance()

    def _admit(self, request: Request) -> bool:
        """Answer what can be answered without its body; return whether there may be more to do."""
        refusal = self._service.admit(request, self)
        if refusal is not None and not self._incoming.complete:
            return self._refuse(refusal)
        if refusal is not None:
            self._turn, self._inside = Turn.ANSWER, True
            self.respond(refusal)
            self._inside = False
            return True
        if self._incoming.complete:
            return self._dispatch(request)
        if b"expect" in request.headers:
            self._transport.write(_CONTINUE)
        length = request.headers.get(b"content-length")
        self._remaining = None if length is None else int(length)
        self._raw_size = 0
        self._turn = Turn.BODY
        if self._remaining is None or self._remaining > len(self._buffer):
            self._wait(self._gate.allowance.body_s)
        return True

    def _read_body(self) -> bool:
        """Read what there is of a body; return whether there may be more to do."""
        if not self._buffer:
            return False
        part, self._buffer = self._buffer, b""
        if self._remaining is not None:
            part, self._buffer = part[: self._remaining], part[self._remaining :]
            self._remaining -= len(part)
        incoming = self._incoming
        try:
            incoming.read_body(part)
        except RequestError as exc:
            return self._refuse(error_response(exc.status, exc.message))
        self._raw_size += len(part)
        limit = self._service.max_body_bytes
        if incoming.size > limit or self._raw_size > 8 * limit + AHEAD_BYTES:
            return self._refuse(error_response(413, f"the request's body is larger than {limit} bytes"))
        if not incoming.complete:
            return False
        if not self._hold():
            return self._refuse_for_room()
        assert self._request is not None
        self._request.body = incoming.take_body()
        return self._dispatch(self._request)

    def _dispatch(self, request: Request) -> bool:
        """Have the request answered; return whether that is done."""
        self._gate.go_on(self)
        self._turn, self._inside = Turn.ANSWER, True
        self._whole_s = time.perf_counter()
        take_back = self._service.answer(request, self)
        self._inside = False
        if self._turn is Turn.ANSWER:
            self._take_back = take_back
            return False
        return True

    # Writing, and closing.

    def _write(self, response: Response, *, close: bool) -> None:
        request = self._request
        head = response.head(date=_date(), close=close, trace=None if request is None else request.trace)
        bodiless = request is not None and request.method == "HEAD"
        self._transport.write(head if bodiless else head + response.body)
        self._note(response.status)

    def _note(self, status: int) -> None:
        request, self._request = self._request, None
        self._service.answered(request, status, time.perf_counter() - self._start_s, self.peer)

    def _refuse(self, response: Response) -> bool:
        """Answer what is not read to its end, and go on reading for a while, for the client to see the answer."""
        self._write(response, close=True)
        self._buffer = b""
        self._incoming.drop()
        self._lingered, self._turn = 0, Turn.LINGER
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._wait(LINGER_S)
        return False

    def _refuse_for_room(self) -> bool:
        limit = self._gate.allowance.held_bytes
        return self._refuse(error_response(503, f"requests on their way hold {limit} bytes already; try again later"))

    def _linger(self, size: int) -> None:
        self._lingered += size
        if self._lingered > LINGER_BODIES * self._service.max_body_bytes:
            self.drop()

    def _finish(self) -> None:
        self._buffer, self._turn = b"", Turn.CLOSED
        self._wait(LINGER_S)
        self._transport.close()

    def _hold(self) -> bool:
        """Count what this connection holds now; return whether there is room for it."""
        holds = len(self._buffer) + self._incoming.size
        if holds == self._held_bytes:
            return True
        more, self._held_bytes = holds - self._held_bytes, holds
        return self._gate.hold(more) or more < 0

    def _set_reading(self) -> None:
        """Read no further than a little ahead while a request is answered, or a client does not take its answer."""
        busy = self._turn in (Turn.ANSWER, Turn.HELD, Turn.TAKEN)
        pause = busy and len(self._buffer) > AHEAD_BYTES
        if pause != self._paused and self._turn is not Turn.CLOSED:
            self._paused = pause
            (self._transport.pause_reading if pause else self._transport.resume_reading)()

    def _wait(self, time_s: float) -> None:
        self._gate.wait(self, self._loop.time() + time_s)


_second, _text = 0, b""


def _date() -> bytes:
    """Return the time as HTTP writes it, made once a second."""
    global _second, _text
    now = int(time.time())
    if now != _second:
        _second, _text = now, formatdate(now, usegmt=True).encode()
    return _text
