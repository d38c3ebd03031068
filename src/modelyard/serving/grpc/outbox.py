"""What goes to a client: no more of an answer than the client takes of it, and of all answers together.

Source: RFC 9113, 5.2 and 6.5.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import frames
from .frames import Broken, Reason

if TYPE_CHECKING:
    from .stream import Stream

FRAME_BYTES = 64 * 1024
"""The size of a frame's payload, of ours and of a client's, at most."""


class Outbox:
    """Makes frames of answers, and keeps what is to be written.

    Attributes:
        frames: what is to be written.
        window: bytes that the client takes now, of all answers together; a stream has its own.
        initial_window: the window that a stream begins with.
    """

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.window = self.initial_window = frames.INITIAL_WINDOW
        self._frame_bytes = 16_384

    def take(self) -> bytes:
        """Return what is to be written, which is then not kept."""
        data, self.frames = b"".join(self.frames), []
        return data

    def open(self, stream: Stream) -> None:
        """Begin an answer, if that has not begun."""
        if not stream.opened:
            stream.opened = True
            self.frames.append(frames.frame(frames.HEADERS, frames.END_HEADERS, stream.number, opening(stream)))

    def fill(self, stream: Stream) -> bool:
        """Send of an answer what the client takes; return whether that was its end."""
        while stream.outgoing and (room := min(stream.window, self.window, self._frame_bytes)) > 0:
            part, stream.outgoing = stream.outgoing[:room], stream.outgoing[room:]
            stream.window -= len(part)
            self.window -= len(part)
            self.frames.append(frames.frame(frames.DATA, 0, stream.number, part))
        if stream.ending is None or stream.outgoing:
            return False
        flags = frames.END_HEADERS | frames.END_STREAM
        self.frames.append(frames.frame(frames.HEADERS, flags, stream.number, stream.ending))
        if not stream.whole:
            self.frames.append(frames.reset(stream.number, Reason.NO_ERROR))
        return True

    def widen(self, stream: Stream | None, more: int) -> None:
        """Let `more` bytes go: of a stream, or, None, of all.

        Raises:
            Broken: that is nothing, or more than a window may be.
        """
        window = self.window if stream is None else stream.window
        if not more or window + more > frames.LARGEST_WINDOW:
            raise Broken(Reason.PROTOCOL_ERROR if not more else Reason.FLOW_CONTROL_ERROR, "no window")
        if stream is None:
            self.window += more
        else:
            stream.window += more

    def set(self, name: int, value: int) -> int:
        """Keep to a setting of the client; return how much wider the windows of its streams are by it.

        Raises:
            Broken: the value is out of its bounds.
        """
        if name == frames.INITIAL_WINDOW_SIZE:
            if value > frames.LARGEST_WINDOW:
                raise Broken(Reason.FLOW_CONTROL_ERROR, "a window is too large")
            more, self.initial_window = value - self.initial_window, value
            return more
        if name == frames.ENABLE_PUSH and value > 1:
            raise Broken(Reason.PROTOCOL_ERROR, "whether to push is 0 or 1")
        if name == frames.MAX_FRAME_SIZE:
            if not 16_384 <= value < 1 << 24:
                raise Broken(Reason.PROTOCOL_ERROR, "a frame's size is out of its bounds")
            self._frame_bytes = min(value, FRAME_BYTES)
        return 0


def opening(stream: Stream) -> bytes:
    """Return the header block before an answer, which names the call's trace."""
    trace = stream.request.trace
    return frames.OPENING if trace is None else frames.OPENING + frames.field(b"traceparent", trace.parent())
