"""One client's connection for gRPC: many calls at a time, and their answers.

The client is let send as much as is taken from it: a call that waits for its password to be looked at has one window of
64 KiB, and all of them share that of the connection.

Source: grpc/doc/PROTOCOL-HTTP2.md.
"""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Protocol

import orjson

from ..errors import RequestError
from ..messages import Request, Response, error_response
from ..service import Service
from . import frames
from .frames import CODES, Broken, Reason, unpadded
from .headers import by_name, is_request
from .http2 import STREAMS, WINDOW_BYTES, Http2
from .outbox import opening
from .stream import Stream, timeout_s

if TYPE_CHECKING:
    import asyncio

    from ..gate import Gate

RESETS = 1000
"""So many more calls than were answered may be begun and dropped; who drops more does it to keep us busy."""
GOODBYE_S = 1.0
"""How long a client may take to hear that it should go, once it waits for nothing."""


class GrpcService(Service, Protocol):
    """What is behind the connections for gRPC.

    Attributes:
        max_message_bytes: the size of a message as sent.
    """

    max_message_bytes: int

    def answer(self, stream: Stream, connection: Connection) -> None:
        """Answer by `connection.respond`, now or later; if later, note in `stream.take_back` what takes it back."""
        ...


class Connection(Http2):
    """Reads calls, and writes their answers.

    Attributes:
        peer: the client's address.
        trusted: whether the client has given the password here.
    """

    def __init__(self, service: GrpcService, gate: Gate, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(service, gate, loop)
        self.trusted = False
        self._service: GrpcService = service
        self._answered = self._resets = 0

    # What the server calls.

    def respond(self, stream: Stream, response: Response) -> None:
        """Answer a call, and be done with it."""
        if self._streams.get(stream.number) is not stream or stream.ending is not None:
            return  # the client has gone, or the deadline has passed
        stream.take_back = None
        self._answered += 1
        if response.status == 200:
            self._out.open(stream)
            stream.outgoing += struct.pack(">BL", 0, len(response.body)) + response.body
            stream.ending = frames.status_field(CODES[200])
        else:
            message = frames.message_field(orjson.loads(response.body)["error"])
            begin = b"" if stream.opened else opening(stream)
            stream.ending = begin + frames.status_field(CODES[response.status]) + message
        stream.turn_s = self._loop.time()
        self._note(stream, response.status)
        self._release(stream)
        self._pump(stream)
        if self._service.closing():
            self._say_goodbye()
        if not self._inside:
            self._settle()

    def send(self, stream: Stream, message: bytes) -> None:
        """Send one of several messages."""
        if self._streams.get(stream.number) is stream and stream.ending is None:
            self._out.open(stream)
            if not stream.outgoing:
                stream.turn_s = self._loop.time()
            stream.outgoing += struct.pack(">BL", 0, len(message)) + message
            self._pump(stream)
            if not self._inside:
                self._settle()

    def overdue(self) -> None:
        """The client has kept us waiting for too long."""
        late_s = self._loop.time() - self._gate.allowance.body_s
        late = [one for one in self._streams.values() if self._is_clients_turn(one) and one.turn_s <= late_s]
        if not self._greeted or self._blocks.stream or self._full or any(stream.outgoing for stream in late):
            self.drop()
            return
        for stream in late:
            self._refuse(stream, error_response(408, "the request's message took too long to come"))
        if not self._streams and self._leaving:
            self.drop()
        elif not self._streams:
            self.leave()
        else:
            self._settle()

    def leave(self) -> None:
        """Ask the client to go, and close when the calls that are on their way are answered."""
        if not self._greeted:
            self.drop()
            return
        self._say_goodbye()
        for stream in list(self._streams.values()):
            if stream.opened and stream.ending is None:
                self._refuse(stream, error_response(503, "the server stops; try another"))
        self._settle()

    # What the client sends.

    def _take_fields(self, number: int, fields: list[tuple[bytes, bytes]], *, ends: bool) -> None:
        """Begin a call, or take the fields behind its message, of which none is known."""
        stream = self._streams.get(number)
        if stream is not None:
            if stream.whole:
                raise Broken(Reason.STREAM_CLOSED, "headers of a call that had ended")
            if not ends or is_request(fields):
                raise Broken(Reason.PROTOCOL_ERROR, "headers stand in the middle of a call")
            self._end(stream)
            return
        if number <= self._last:
            if not ends or is_request(fields):
                raise Broken(Reason.PROTOCOL_ERROR, "a call begins whose number is not above those before")
            return  # what ends a call that was answered before it was whole
        self._last = number
        if self._left or len(self._streams) >= STREAMS:
            self._out.frames.append(frames.reset(number, Reason.REFUSED_STREAM))
            return
        headers, repeated = by_name(fields)
        path = headers.get(b":path", b"").decode("latin-1")
        request = Request(headers.get(b":method", b"").decode("latin-1"), path, headers, repeated)
        stream = Stream(number, request, time.perf_counter(), self._loop.time(), self._out.initial_window)
        stream.whole = ends
        self._streams[number] = stream
        self._service.began(request)
        self._begin(stream)

    def _begin(self, stream: Stream) -> None:
        """Look at what a call brings beside its message."""
        request = stream.request
        if request.method != "POST":
            self._refuse_plainly(stream, 405, f"a call is made with POST, not {request.method!r}")
        elif not request.headers.get(b"content-type", b"").startswith(b"application/grpc"):
            self._refuse_plainly(stream, 415, "a call has the content-type application/grpc")
        elif wait_s := self._service.hold_s(request, self):
            stream.timer = self._loop.call_later(wait_s, self._go_on, stream)
        else:
            self._admit(stream)

    def _go_on(self, stream: Stream) -> None:
        self._admit(stream)
        self._settle()

    def _admit(self, stream: Stream) -> None:
        stream.timer = None
        refusal = self._service.admit(stream.request, self)
        if refusal is None:
            try:
                wait_s = timeout_s(stream.request)
            except RequestError as exc:
                refusal = error_response(exc.status, exc.message)
        if refusal is not None:
            self._refuse(stream, refusal)
            return
        stream.admitted, stream.turn_s = True, self._loop.time()
        if wait_s is not None:
            stream.timer = self._loop.call_later(wait_s - (time.perf_counter() - stream.start_s), self._late, stream)
        if stream.data:
            self._check(stream)
        if stream.whole and stream.ending is None:
            self._dispatch(stream)

    def _take_data(self, number: int, flags: int, payload: bytes) -> None:
        self._taken += len(payload)
        if self._taken >= WINDOW_BYTES // 2:
            self._out.frames.append(frames.window_update(0, self._taken))
            self._taken = 0
        if self._is_idle(number):
            raise Broken(Reason.PROTOCOL_ERROR, "data of a call that has not begun")
        stream = self._streams.get(number)
        if stream is None:
            return  # it is answered already
        if stream.whole:
            raise Broken(Reason.STREAM_CLOSED, "data of a call that had ended")
        if stream.ending is not None:
            return  # what answers it is on its way
        stream.granted -= len(payload)
        if stream.granted < 0:
            raise Broken(Reason.FLOW_CONTROL_ERROR, "more data came than was allowed")
        data = unpadded(flags, payload)
        if data:
            stream.held += len(data)
            if not self._gate.hold(len(data)):
                limit = self._gate.allowance.held_bytes
                self._refuse(
                    stream, error_response(503, f"calls on their way hold {limit} bytes already; try again later")
                )
                return
            stream.add(data)
            if stream.admitted:
                self._check(stream)
        if flags & frames.END_STREAM and stream.ending is None:
            self._end(stream)

    def _check(self, stream: Stream) -> None:
        """Look at what has come of a message, and let the client send more of it."""
        try:
            stream.check(self._service.max_message_bytes)
        except RequestError as exc:
            self._refuse(stream, error_response(exc.status, exc.message))
            return
        wanted = min((stream.expected or 0) - len(stream.data), WINDOW_BYTES)
        if stream.granted < wanted and stream.granted < WINDOW_BYTES // 2:
            self._out.frames.append(frames.window_update(stream.number, wanted - stream.granted))
            stream.granted = wanted

    def _end(self, stream: Stream) -> None:
        """The client has sent all of a call."""
        stream.whole = True
        if stream.admitted and stream.ending is None:
            self._dispatch(stream)

    def _dispatch(self, stream: Stream) -> None:
        try:
            stream.finish()
        except RequestError as exc:
            self._refuse(stream, error_response(exc.status, exc.message))
            return
        self._service.answer(stream, self)

    def _take_reset(self, number: int) -> None:
        if self._is_idle(number):
            raise Broken(Reason.PROTOCOL_ERROR, "the end of a call that has not begun")
        stream = self._streams.get(number)
        if stream is None:
            return
        self._drop(stream)
        self._resets += 1
        if self._resets > RESETS + self._answered:
            raise Broken(Reason.ENHANCE_YOUR_CALM, "very many calls are begun and dropped")

    # Answers.

    def _pump(self, stream: Stream) -> None:
        """Send of an answer what the client takes."""
        if not stream.outgoing and stream.ending is None:
            return
        ended = self._out.fill(stream)
        self._keep(stream, len(stream.outgoing))
        if ended:
            self._forget(stream)

    def _refuse(self, stream: Stream, response: Response) -> None:
        if stream.take_back is not None:
            stream.take_back()
        self.respond(stream, response)

    def _refuse_plainly(self, stream: Stream, status: int, message: str) -> None:
        """Answer what is no call of gRPC."""
        stream.ending = frames.plain(status, message)
        self._note(stream, status)
        self._pump(stream)

    def _late(self, stream: Stream) -> None:
        stream.timer = None
        self._refuse(stream, error_response(504, "the call's deadline has passed"))
        self._settle()

    def _note(self, stream: Stream, status: int) -> None:
        self._service.answered(stream.request, status, time.perf_counter() - stream.start_s, self.peer)

    def _drop(self, stream: Stream) -> None:
        """The client does not want the answer any more."""
        if stream.take_back is not None:
            stream.take_back()
        if stream.ending is None:
            self._note(stream, 499)
        self._forget(stream)

    def _forget(self, stream: Stream) -> None:
        self._release(stream)
        self._streams.pop(stream.number, None)

    def _release(self, stream: Stream) -> None:
        """Let go of what a call brought."""
        stream.data, stream.request.body = b"", b""
        if stream.timer is not None:
            stream.timer.cancel()
            stream.timer = None
        self._keep(stream, 0)

    # Whose turn it is.

    def _set_deadline(self) -> None:
        if not self._greeted:
            return  # the time for that runs since the connection's start
        allowance, now = self._gate.allowance, self._loop.time()
        ends = [one.turn_s + allowance.body_s for one in self._streams.values() if self._is_clients_turn(one)]
        if self._blocks.stream or self._full:
            ends.append(self._since_s + (allowance.body_s if self._full else allowance.header_s))
        if ends:
            self._gate.wait(self, min(ends))
        elif self._streams:
            self._gate.go_on(self)
        else:
            self._gate.wait(self, now + (GOODBYE_S if self._leaving else allowance.idle_s))

    def _is_clients_turn(self, stream: Stream) -> bool:
        return bool(stream.outgoing) or (stream.admitted and not stream.whole)

    def _keep(self, stream: Stream, size: int) -> None:
        """Count `size` bytes as what a call holds now."""
        if size != stream.held:
            self._gate.hold(size - stream.held)
            stream.held = size
