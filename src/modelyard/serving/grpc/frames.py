"""HTTP/2's frames and gRPC's use of them: layouts, names, and the header blocks that every answer begins and ends with.

Nothing that is sent refers to the client's table of headers, so that a block can be made once.

Source: RFC 9113, 4 and 6; RFC 7541, 6.2.2; grpc/doc/PROTOCOL-HTTP2.md and statuscodes.md.
"""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import struct
from enum import IntEnum
from functools import cache
from urllib.parse import quote

from ..observe import GRPC_CODES

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES = 9
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
LENGTHS = {PRIORITY: 5, RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}
"""The sizes of those frames that have one size."""
ON_CONNECTION = frozenset({SETTINGS, PING, GOAWAY})
"""The frames that are of no stream."""
GOAWAY_BYTES = 8
"""What the client's goodbye says at least: its last stream, and why."""
END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
INITIAL_WINDOW, LARGEST_WINDOW = 65_535, (1 << 31) - 1
ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 2, 3, 4, 5, 6
"""The settings that are said or heard."""
LONGEST_MESSAGE = 1000
PRIORITY_BYTES = 5
"""What stands before a block of headers that says its priority."""
PREFIX_BYTES = 5
"""What stands before a message: whether it is compressed, and its size."""


class Reason(IntEnum):
    """Why a stream or a connection ends."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


class Broken(Exception):
    """The client does not keep to HTTP/2: the connection ends.

    It ends for what is wrong with one stream, too, as RFC 9113, 5.4.1 lets it: a client cannot make us begin and reset calls
    without end.
    """

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Code(IntEnum):
    """How a call ended."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


CODES = {status: Code(number) for status, number in GRPC_CODES.items()}
"""What the statuses of HTTP, which the log and the metrics count in, are called here."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame."""
    return struct.pack(">HBBBL", len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream) + payload


def unpadded(flags: int, payload: bytes) -> bytes:
    """Return a frame's payload without what it is padded with.

    Raises:
        Broken: that is more than the payload, or the payload does not say how much.
    """
    if not flags & PADDED:
        return payload
    if not payload:
        raise Broken(Reason.FRAME_SIZE_ERROR, "a frame does not say how much it is padded")
    if payload[0] >= len(payload):
        raise Broken(Reason.PROTOCOL_ERROR, "a frame is padded with more than it holds")
    return payload[1 : len(payload) - payload[0]]


def fragment(flags: int, payload: bytes) -> bytes:
    """Return what a frame HEADERS holds of its block: not what it is padded with, and not the priority, which nobody asks.

    Raises:
        Broken: there is no room for what its flags say.
    """
    block = unpadded(flags, payload)
    if not flags & HAS_PRIORITY:
        return block
    if len(block) < PRIORITY_BYTES:
        raise Broken(Reason.FRAME_SIZE_ERROR, "headers are too short for their priority")
    return block[PRIORITY_BYTES:]


def settings(values: dict[int, int]) -> bytes:
    """Return the frame that says how we want to be spoken to."""
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HL", *pair) for pair in values.items()))


def window_update(stream: int, more: int) -> bytes:
    """Return the frame that lets the client send `more` bytes."""
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">L", more))


def reset(stream: int, reason: Reason) -> bytes:
    """Return the frame that ends a stream."""
    return frame(RST_STREAM, 0, stream, struct.pack(">L", reason))


def goaway(last: int, reason: Reason, text: str = "") -> bytes:
    """Return the frame that says that no stream above `last` is answered."""
    return frame(GOAWAY, 0, 0, struct.pack(">LL", last, reason) + text.encode("ascii", "replace"))


def field(name: bytes, value: bytes) -> bytes:
    """Return a header field as HPACK writes it outside of any table, without Huffman's code."""
    return b"\0" + _size(name) + name + _size(value) + value


def _size(data: bytes) -> bytes:
    size = len(data)
    if size < 0x7F:
        return bytes((size,))
    out, size = bytearray((0x7F,)), size - 0x7F
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out)


_STATUS_200 = b"\x88"
OPENING = (
    _STATUS_200 + field(b"content-type", b"application/grpc") + field(b"grpc-accept-encoding", b"identity,deflate,gzip")
)
"""The header block before an answer."""


@cache
def status_field(code: Code) -> bytes:
    """Return the field that says how a call ended."""
    return field(b"grpc-status", b"%d" % code)


def message_field(message: str) -> bytes:
    """Return the field that says why, on one line and cut short: a client may have sent a long name, and takes few headers."""
    message = message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]}..."
    message = " ".join(message.splitlines())
    return field(
        b"grpc-message", quote(message.encode("utf-8", "replace"), safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~").encode()
    )


def plain(status: int, message: str) -> bytes:
    """Return the header block that answers what is no call of gRPC: a status of HTTP, and why."""
    return field(b":status", b"%d" % status) + field(b"content-type", b"text/plain") + message_field(message)
