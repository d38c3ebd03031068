"""HTTP/2 as a server speaks it, below the calls: greeting, frames, windows, and how a connection ends.

Source: RFC 9113.
"""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import asyncio
import struct
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from ..messages import error_response
from . import frames
from .frames import Broken, Reason, fragment
from .headers import HeaderBlocks
from .outbox import FRAME_BYTES, Outbox

if TYPE_CHECKING:
    from ..gate import Gate
    from ..service import Service
    from .stream import Stream

STREAMS = 100
"""Calls that one connection has at a time."""
WINDOW_BYTES = 1024 * 1024
"""What a connection may have sent beyond what was taken."""
LINGER_S = 5.0

_GOODBYE = b"goodbye!"
_NOT_HTTP2 = "this port speaks gRPC, which is HTTP/2; HTTP/1.1 is spoken at MODELYARD_PORT"


class Http2(asyncio.Protocol, ABC):
    """A client's connection; what is said on its streams is the subclass's.

    Attributes:
        peer: the client's address.
    """

    def __init__(self, service: Service, gate: Gate, loop: asyncio.AbstractEventLoop) -> None:
        self.peer = ""
        self._service, self._gate, self._loop = service, gate, loop
        self._blocks = HeaderBlocks(gate.allowance.header_bytes)
        self._buffer = bytearray()
        self._out = Outbox()
        self._inside = self._greeted = self._leaving = self._left = self._closed = self._full = False
        self._streams: dict[int, Stream] = {}
        self._last = self._taken = self._held_bytes = 0
        self._since_s = loop.time()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport: Any = transport
        address = transport.get_extra_info("peername")
        self.peer = address[0] if address else ""
        self._gate.enter(self)
        self._gate.wait(self, self._loop.time() + self._gate.allowance.header_s)

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        if self._closed:
            return
        self._buffer += data
        self._inside = True
        try:
            self._advance()
        except Broken as exc:
            self._break(exc.reason, str(exc))
        self._inside = False
        if not self._hold() and not self._closed:
            limit = self._gate.allowance.held_bytes
            self._break(Reason.ENHANCE_YOUR_CALM, f"calls on their way hold {limit} bytes already; try again later")
        self._settle()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """Forget everything, and take back what is not answered."""
        self._closed = True
        self._gate.leave(self)
        for stream in list(self._streams.values()):
            self._drop(stream)
        self._buffer.clear()
        self._hold()

    def pause_writing(self) -> None:
        """The client takes its answers slowly: nothing more is read from it meanwhile."""
        self._full = True
        if not self._closed:
            self._transport.pause_reading()
        self._since_s = self._loop.time()

    def resume_writing(self) -> None:
        """The client has taken its answers."""
        self._full = False
        if not self._closed:
            self._transport.resume_reading()
            self._settle()

    def drop(self) -> None:
        """Close the connection as it is."""
        self._closed = True
        self._transport.abort()

    # What the subclass does.

    @abstractmethod
    def overdue(self) -> None:
        """The client has kept us waiting for too long."""

    @abstractmethod
    def leave(self) -> None:
        """Ask the client to go, and close when nothing is on its way."""

    @abstractmethod
    def _take_fields(self, number: int, fields: list[tuple[bytes, bytes]], *, ends: bool) -> None:
        """Take a block of headers; the stream ends with it if `ends`."""

    @abstractmethod
    def _take_data(self, number: int, flags: int, payload: bytes) -> None:
        """Take a piece of a stream's data."""

    @abstractmethod
    def _take_reset(self, number: int) -> None:
        """The client gives up a stream."""

    @abstractmethod
    def _pump(self, stream: Stream) -> None:
        """Send of an answer what the client takes."""

    @abstractmethod
    def _drop(self, stream: Stream) -> None:
        """Nobody waits for the answer any more."""

    @abstractmethod
    def _set_deadline(self) -> None:
        """Note whose turn it is, and until when."""

    # Frames.

    def _advance(self) -> None:
        """Read the frames that are there."""
        if not self._greeted and not self._greet():
            return
        buffer, at = self._buffer, 0
        try:
            while len(buffer) - at >= frames.HEAD_BYTES and not self._closed:
                high, low, kind, flags, number = struct.unpack_from(">HBBBL", buffer, at)
                size, number = high << 8 | low, number & 0x7FFFFFFF
                if size > FRAME_BYTES:
                    raise Broken(Reason.FRAME_SIZE_ERROR, f"a frame is larger than {FRAME_BYTES} bytes")
                end = at + frames.HEAD_BYTES + size
                if end > len(buffer):
                    return
                payload, at = bytes(buffer[at + frames.HEAD_BYTES : end]), end
                self._take(kind, flags, number, payload)
        finally:
            del buffer[:at]

    def _greet(self) -> bool:
        """Read what every client of HTTP/2 says first, up to the head of its settings; return whether it is there.

        Source: RFC 9113, 3.4.
        """
        size = len(frames.PREFACE)
        if self._buffer[:size] != frames.PREFACE[: len(self._buffer)]:
            self._service.answered(None, 400, self._loop.time() - self._since_s, self.peer)
            answer = error_response(400, _NOT_HTTP2)
            self._out.frames.append(answer.head(date=b"", close=True).replace(b"date: \r\n", b"") + answer.body)
            self._finish()
            return False
        if len(self._buffer) < size + frames.HEAD_BYTES:
            return False
        kind, flags = self._buffer[size + 3 : size + 5]
        del self._buffer[:size]
        self._greeted = True
        ours = {
            frames.MAX_CONCURRENT_STREAMS: STREAMS,
            frames.MAX_FRAME_SIZE: FRAME_BYTES,
            frames.MAX_HEADER_LIST_SIZE: self._gate.allowance.header_bytes,
        }
        more = frames.window_update(0, WINDOW_BYTES - frames.INITIAL_WINDOW)
        self._out.frames.append(frames.settings(ours) + more)
        if kind != frames.SETTINGS or flags & frames.ACK:
            raise Broken(Reason.PROTOCOL_ERROR, "the first frame has to say the client's settings")
        return True

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """Take a frame."""
        begun = self._blocks.stream
        if begun is not None and (kind != frames.CONTINUATION or number != begun):
            raise Broken(Reason.PROTOCOL_ERROR, "a block of headers is cut short")
        if kind in frames.LENGTHS and len(payload) != frames.LENGTHS[kind]:
            raise Broken(Reason.FRAME_SIZE_ERROR, "a frame has another size than its type says")
        if kind == frames.DATA:
            self._take_data(number, flags, payload)
        elif kind == frames.HEADERS:
            self._take_headers(number, flags, payload)
        elif kind == frames.CONTINUATION:
            self._take_continuation(number, flags, payload)
        elif kind == frames.WINDOW_UPDATE:
            self._take_window(number, struct.unpack(">L", payload)[0] & 0x7FFFFFFF)
        elif kind == frames.RST_STREAM:
            self._take_reset(number)
        elif kind in frames.ON_CONNECTION:
            self._take_on_connection(kind, flags, number, payload)
        elif kind == frames.PUSH_PROMISE:
            raise Broken(Reason.PROTOCOL_ERROR, "a client cannot push")
        elif kind == frames.PRIORITY and not number:
            raise Broken(Reason.PROTOCOL_ERROR, "a priority of no call")

    def _take_headers(self, number: int, flags: int, payload: bytes) -> None:
        if not number % 2:
            raise Broken(Reason.PROTOCOL_ERROR, "a client's streams have odd numbers")
        block = fragment(flags, payload)
        self._since_s = self._loop.time()
        self._blocks.begin(number, ends=bool(flags & frames.END_STREAM))
        self._take_continuation(number, flags, block)

    def _take_continuation(self, number: int, flags: int, piece: bytes) -> None:
        fields = self._blocks.add(piece, last=bool(flags & frames.END_HEADERS))
        if fields is not None:
            self._take_fields(number, fields, ends=self._blocks.ends)

    def _take_on_connection(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if number:
            raise Broken(Reason.PROTOCOL_ERROR, "what is the connection's came on a stream")
        if kind == frames.SETTINGS:
            self._take_settings(flags, payload)
        elif kind == frames.PING:
            self._take_ping(flags, payload)
        elif len(payload) < frames.GOAWAY_BYTES:
            raise Broken(Reason.FRAME_SIZE_ERROR, "a goodbye is cut short")

    def _take_settings(self, flags: int, payload: bytes) -> None:
        if len(payload) % 6 or (flags & frames.ACK and payload):
            raise Broken(Reason.FRAME_SIZE_ERROR, "these are no settings")
        if flags & frames.ACK:
            return
        for name, value in struct.iter_unpack(">HL", payload):
            more = self._out.set(name, value)
            for stream in list(self._streams.values()) if more else ():
                self._out.widen(stream, more)
                self._pump(stream)
        self._out.frames.append(frames.frame(frames.SETTINGS, frames.ACK, 0))

    def _take_window(self, number: int, more: int) -> None:
        if number and self._is_idle(number):
            raise Broken(Reason.PROTOCOL_ERROR, "a window of a call that has not begun")
        stream = self._streams.get(number)
        if number and stream is None:
            return
        self._out.widen(stream, more)
        for waiting in list(self._streams.values()) if stream is None else (stream,):
            self._pump(waiting)

    def _is_idle(self, number: int) -> bool:
        """Return whether no call has begun on a stream; streams of even numbers would be ours."""
        return not number % 2 or number > self._last

    def _take_ping(self, flags: int, payload: bytes) -> None:
        if not flags & frames.ACK:
            self._out.frames.append(frames.frame(frames.PING, frames.ACK, 0, payload))
        elif payload == _GOODBYE and self._leaving and not self._left:
            self._left = True  # what comes now was begun by a client that knew
            self._out.frames.append(frames.goaway(self._last, Reason.NO_ERROR))

    # The connection.

    def _settle(self) -> None:
        """Write what there is to write, and note whose turn it is."""
        if self._out.frames and not self._transport.is_closing():
            self._transport.write(self._out.take())
        if self._closed:
            return
        if self._left and not self._streams:
            self._finish()
            return
        self._set_deadline()

    def _hold(self) -> bool:
        """Count what is kept of a frame; return whether there is room for it."""
        more, self._held_bytes = len(self._buffer) - self._held_bytes, len(self._buffer)
        return not more or self._gate.hold(more) or more < 0

    def _say_goodbye(self) -> None:
        """Ask the client to go; what it begins before it has heard that is answered yet (RFC 9113, 6.8)."""
        if not self._leaving:
            self._leaving = True
            self._out.frames.append(frames.goaway(frames.LARGEST_WINDOW, Reason.NO_ERROR))
            self._out.frames.append(frames.frame(frames.PING, 0, 0, _GOODBYE))

    def _break(self, reason: Reason, text: str) -> None:
        """Say what was wrong, and close."""
        self._service.answered(None, 400, 0.0, self.peer)
        self._out.frames.append(frames.goaway(self._last, reason, text))
        self._finish()

    def _finish(self) -> None:
        self._closed = True
        self._buffer.clear()
        if self._out.frames:
            self._transport.write(self._out.take())
        self._gate.wait(self, self._loop.time() + LINGER_S)
        self._transport.close()
