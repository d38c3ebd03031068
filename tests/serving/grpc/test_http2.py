"""A connection below the calls: greeting, frames in whatever pieces they come, windows, and how it ends."""

from __future__ import annotations

import asyncio
import functools
import json
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

hpack = pytest.importorskip("hpack", reason="hpack is not installed")

from tests.serving.grpc.test_outbox import parsed  # noqa: E402 - it needs hpack

from modelyard.serving.gate import Allowance, Gate  # noqa: E402
from modelyard.serving.grpc import frames  # noqa: E402
from modelyard.serving.grpc.frames import Reason, frame  # noqa: E402
from modelyard.serving.grpc.http2 import STREAMS, WINDOW_BYTES, Http2  # noqa: E402
from modelyard.serving.grpc.outbox import FRAME_BYTES  # noqa: E402
from modelyard.serving.grpc.stream import Stream  # noqa: E402
from modelyard.serving.messages import Request, Response  # noqa: E402
from modelyard.serving.service import Peer  # noqa: E402

HEADER_BYTES, HELD_BYTES = 8000, 100_000
GREETING = frames.PREFACE + frames.settings({})
POST = frame(frames.HEADERS, frames.END_HEADERS, 1, b"\x83")


@functools.cache
def clock() -> asyncio.AbstractEventLoop:
    """Return a loop that does not run: its time is read."""
    loop = asyncio.new_event_loop()
    loop.close()
    return loop


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.7", 1234)})
        self.data, self.state, self.reads = b"", "open", True

    def write(self, data: Any) -> None:
        assert self.state == "open"
        self.data += bytes(data)

    def is_closing(self) -> bool:
        return self.state != "open"

    def close(self) -> None:
        self.state = "closed"

    def abort(self) -> None:
        self.state = "aborted"

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def taken(self) -> list[tuple[int, int, int, bytes]]:
        """Return the frames that came since the last time."""
        data, self.data = self.data, b""
        return parsed(data)


class Noted:
    """A service that notes the answers to what is no call."""

    def __init__(self) -> None:
        self.statuses: list[int] = []

    def began(self, request: Request) -> None:
        raise NotImplementedError

    def hold_s(self, request: Request, connection: Peer) -> float:
        raise NotImplementedError

    def admit(self, request: Request, connection: Peer) -> Response | None:
        raise NotImplementedError

    def closing(self) -> bool:
        return False

    def answered(self, request: Request | None, status: int, duration_s: float, peer: str) -> None:
        assert (request, peer) == (None, "192.0.2.7")
        self.statuses.append(status)


class Noting(Http2):
    """A connection whose streams only note what comes."""

    def __init__(self, *, greeted: bool = True) -> None:
        self.noted, self.wire = Noted(), Wire()
        self.seen: list[tuple[Any, ...]] = []
        self.turns = 0
        gate = Gate(Allowance(9, HELD_BYTES, HEADER_BYTES, 2.0, 9.0, 9.0), lambda *_: None)
        super().__init__(self.noted, gate, clock())
        self.connection_made(self.wire)
        if greeted:
            self.data_received(GREETING)
            self.wire.taken()

    def stream(self, number: int) -> Stream:
        one = self._streams[number] = Stream(number, Request("POST", "/", {}), 0.0, 0.0, 100)
        self._last = max(self._last, number)
        return one

    def overdue(self) -> None:
        self.drop()

    def leave(self) -> None:
        self._say_goodbye()
        self._settle()

    def finish(self, number: int) -> None:
        del self._streams[number]
        self._settle()

    def _take_fields(self, number: int, fields: list[tuple[bytes, bytes]], *, ends: bool) -> None:
        self.seen.append(("fields", number, fields, ends))
        self._last = max(self._last, number)

    def _take_data(self, number: int, flags: int, payload: bytes) -> None:
        self.seen.append(("data", number, flags, payload))

    def _take_reset(self, number: int) -> None:
        self.seen.append(("reset", number))

    def _pump(self, stream: Stream) -> None:
        self.seen.append(("pump", stream.number, stream.window))

    def _drop(self, stream: Stream) -> None:
        self.seen.append(("drop", stream.number))
        del self._streams[stream.number]

    def _set_deadline(self) -> None:
        self.turns += 1


def test_it_greets_a_client_that_greets_and_not_before() -> None:
    one = Noting(greeted=False)
    for byte in GREETING[:-1]:
        one.data_received(bytes((byte,)))
    assert one.wire.data == b""
    one.data_received(GREETING[-1:])

    (kind, flags, stream, payload), window, heard = one.wire.taken()
    assert (kind, flags, stream) == (frames.SETTINGS, 0, 0)
    assert dict(struct.iter_unpack(">HL", payload)) == {
        frames.MAX_CONCURRENT_STREAMS: STREAMS,
        frames.MAX_FRAME_SIZE: FRAME_BYTES,
        frames.MAX_HEADER_LIST_SIZE: HEADER_BYTES,
    }
    assert window == (frames.WINDOW_UPDATE, 0, 0, struct.pack(">L", WINDOW_BYTES - frames.INITIAL_WINDOW))
    assert heard == (frames.SETTINGS, frames.ACK, 0, b"")
    assert one.peer == "192.0.2.7"


@pytest.mark.parametrize(
    "sent",
    [
        POST,
        frame(frames.PING, 0, 0, b"12345678"),
        frame(0xEE, 0, 0),
        frames.window_update(0, 1),
        frame(frames.SETTINGS, frames.ACK, 0),
    ],
)
def test_a_client_that_greets_without_its_settings_is_told_so(sent: bytes) -> None:
    one = Noting(greeted=False)
    one.data_received(frames.PREFACE + sent[:8])
    assert one.wire.data == b"", "it may be settings yet"
    one.data_received(sent[8:] + POST)

    ours, _, (kind, _, stream, payload) = one.wire.taken()
    assert ours[:3] == (frames.SETTINGS, 0, 0), "the first that a server says"
    assert (kind, stream, *struct.unpack(">LL", payload[:8])) == (frames.GOAWAY, 0, 0, Reason.PROTOCOL_ERROR)
    assert payload[8:] == b"the first frame has to say the client's settings"
    assert (one.wire.state, one.noted.statuses, one.seen) == ("closed", [400], [])


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", frames.PREFACE[:-1] + b"x", b"\x16\x03\x01"])
def test_who_speaks_something_else_is_told_so(sent: bytes) -> None:
    one = Noting(greeted=False)
    one.data_received(sent)

    head, _, body = one.wire.data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert json.loads(body)["error"].startswith("this port speaks gRPC")
    assert b"date" not in head
    assert (one.wire.state, one.noted.statuses) == ("closed", [400])
    one.data_received(GREETING)
    assert one.seen == []


SENT = st.lists(
    st.sampled_from(
        [
            POST,
            frame(frames.HEADERS, frames.END_STREAM, 3) + frame(frames.CONTINUATION, frames.END_HEADERS, 3, b"\x83"),
            frame(frames.DATA, frames.END_STREAM, 1, b"abc"),
            frame(frames.DATA, 0, 1),
            frame(frames.RST_STREAM, 0, 1, b"\0\0\0\0"),
            frame(frames.PRIORITY, 0, 5, b"12345"),
            frame(0xEE, 0xFF, 7, b"whatever comes later"),
            frame(frames.PING, 0, 0, b"12345678"),
            frames.settings({frames.MAX_FRAME_SIZE: 20_000}),
        ]
    ),
    max_size=5,
).map(b"".join)


@given(SENT, st.lists(st.integers(0, 120), max_size=4).map(sorted))
def test_frames_are_the_same_whatever_pieces_they_come_in(sent: bytes, cuts: list[int]) -> None:
    whole, parts = Noting(), Noting()
    whole.data_received(sent)
    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        parts.data_received(sent[start:end] if end > start else b"")

    assert parts.seen == whole.seen
    assert parts.wire.data == whole.wire.data
    assert (parts._gate.held_bytes, parts.wire.state) == (0, "open")


def test_headers_are_put_together_without_padding_and_priority() -> None:
    one = Noting()
    flags = frames.PADDED | frames.HAS_PRIORITY | frames.END_STREAM
    one.data_received(frame(frames.HEADERS, flags, 1, b"\2" + b"12345" + b"\x83" + b"\0\0"))
    assert one.seen == []
    one.data_received(frame(frames.CONTINUATION, frames.END_HEADERS, 1, b"\x87"))

    assert one.seen == [("fields", 1, [(b":method", b"POST"), (b":scheme", b"https")], True)]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (frame(frames.HEADERS, frames.END_HEADERS, 2, b"\x83"), Reason.PROTOCOL_ERROR),
        (frame(frames.HEADERS, frames.END_HEADERS, 0, b"\x83"), Reason.PROTOCOL_ERROR),
        (frame(frames.HEADERS, 0, 1, b"\x83") + frame(frames.DATA, 0, 1), Reason.PROTOCOL_ERROR),
        (frame(frames.HEADERS, 0, 1) + frame(frames.CONTINUATION, 4, 3, b"\x83"), Reason.PROTOCOL_ERROR),
        (frame(frames.CONTINUATION, frames.END_HEADERS, 1, b"\x83"), Reason.PROTOCOL_ERROR),
        (frame(frames.HEADERS, frames.END_HEADERS, 1, b"\xff\xff\xff"), Reason.COMPRESSION_ERROR),
        (frame(frames.HEADERS, 0, 1, bytes(HEADER_BYTES + 1)), Reason.ENHANCE_YOUR_CALM),
        (frame(frames.PUSH_PROMISE, 0, 1, b"\0" * 8), Reason.PROTOCOL_ERROR),
        (frame(frames.PING, 0, 0, b"1234567"), Reason.FRAME_SIZE_ERROR),
        (frame(frames.RST_STREAM, 0, 1, b"\0" * 5), Reason.FRAME_SIZE_ERROR),
        (frame(frames.PRIORITY, 0, 1, b"\0" * 4), Reason.FRAME_SIZE_ERROR),
        (frame(frames.WINDOW_UPDATE, 0, 0, b""), Reason.FRAME_SIZE_ERROR),
        (frame(frames.SETTINGS, 0, 0, b"12345"), Reason.FRAME_SIZE_ERROR),
        (frame(frames.SETTINGS, frames.ACK, 0, b"123456"), Reason.FRAME_SIZE_ERROR),
        (frame(frames.SETTINGS, 0, 1), Reason.PROTOCOL_ERROR),
        (frame(frames.PING, 0, 1, b"12345678"), Reason.PROTOCOL_ERROR),
        (frame(frames.PING, frames.ACK, 1, b"12345678"), Reason.PROTOCOL_ERROR),
        (frame(frames.GOAWAY, 0, 1, b"\0" * 8), Reason.PROTOCOL_ERROR),
        (frame(frames.GOAWAY, 0, 0, b"\0" * 7), Reason.FRAME_SIZE_ERROR),
        (frame(frames.PRIORITY, 0, 0, b"\0" * 5), Reason.PROTOCOL_ERROR),
        (frame(frames.PRIORITY, 0, 1, b"\0" * 6), Reason.FRAME_SIZE_ERROR),
        (frame(frames.HEADERS, frames.END_HEADERS | frames.HAS_PRIORITY, 3, b"\0" * 4), Reason.FRAME_SIZE_ERROR),
        (frame(frames.HEADERS, frames.END_HEADERS | frames.PADDED, 3), Reason.FRAME_SIZE_ERROR),
        (frames.settings({frames.ENABLE_PUSH: 2}), Reason.PROTOCOL_ERROR),
        (frames.settings({frames.INITIAL_WINDOW_SIZE: 1 << 31}), Reason.FLOW_CONTROL_ERROR),
        (frames.window_update(0, 0), Reason.PROTOCOL_ERROR),
        (frames.window_update(0, frames.LARGEST_WINDOW), Reason.FLOW_CONTROL_ERROR),
        (frames.window_update(3, 1), Reason.PROTOCOL_ERROR),
        (frame(frames.DATA, 0, 1, bytes(FRAME_BYTES + 1))[:9], Reason.FRAME_SIZE_ERROR),
    ],
)
def test_what_is_no_http_2_ends_it_with_the_reason_and_what_follows_is_not_read(sent: bytes, reason: Reason) -> None:
    one = Noting()
    one.data_received(POST)
    one.seen.clear()

    one.data_received(sent + POST)
    one.data_received(POST)

    kind, _, stream, payload = one.wire.taken()[-1]
    assert (kind, stream, *struct.unpack(">LL", payload[:8])) == (frames.GOAWAY, 0, 1, reason)
    assert payload[8:], "in words, too"
    assert (one.wire.state, one.noted.statuses, one.seen) == ("closed", [400], [])


def test_the_largest_frame_is_taken() -> None:
    one = Noting()
    one.data_received(frame(frames.DATA, 0, 1, bytes(FRAME_BYTES)))

    assert one.seen == [("data", 1, 0, bytes(FRAME_BYTES))]


def test_a_ping_comes_back_and_settings_are_heard() -> None:
    one = Noting()
    one.data_received(frame(frames.PING, 0, 0, b"12345678") + frames.settings({0xEE: 1, frames.ENABLE_PUSH: 1}))
    one.data_received(frame(frames.PING, frames.ACK, 0, b"12345678") + frame(frames.SETTINGS, frames.ACK, 0))

    assert one.wire.taken() == [(frames.PING, frames.ACK, 0, b"12345678"), (frames.SETTINGS, frames.ACK, 0, b"")]


def test_a_wider_window_lets_more_go_of_each_stream() -> None:
    one = Noting()
    one.stream(1)
    one.stream(3)

    one.data_received(frames.settings({frames.INITIAL_WINDOW_SIZE: frames.INITIAL_WINDOW + 7}))
    assert one.seen == [("pump", 1, 107), ("pump", 3, 107)]
    one.data_received(frames.settings({frames.INITIAL_WINDOW_SIZE: frames.INITIAL_WINDOW + 7}))
    one.data_received(frames.settings({frames.INITIAL_WINDOW_SIZE: 0}))
    assert one.seen[2:] == [("pump", 1, 100 - frames.INITIAL_WINDOW), ("pump", 3, 100 - frames.INITIAL_WINDOW)]


def test_settings_that_make_a_stream_s_window_too_wide_end_it() -> None:
    one = Noting()
    one.stream(1)
    one.data_received(frames.window_update(1, frames.LARGEST_WINDOW - 100))
    one.data_received(frames.settings({frames.INITIAL_WINDOW_SIZE: frames.INITIAL_WINDOW + 1}))

    kind, _, _, payload = one.wire.taken()[-1]
    assert (kind, struct.unpack(">LL", payload[:8])[1]) == (frames.GOAWAY, Reason.FLOW_CONTROL_ERROR)
    assert one.seen == [("pump", 1, frames.LARGEST_WINDOW)]


def test_a_window_is_one_stream_s_or_all_of_them_share_it() -> None:
    one = Noting()
    one.stream(1)
    one.stream(5)
    one.data_received(frames.window_update(1, 5) + frames.window_update(3, 5))
    assert one.seen == [("pump", 1, 105)], "the third has ended"

    one.data_received(frames.window_update(0, 9))
    assert one.seen[1:] == [("pump", 1, 105), ("pump", 5, 100)]
    assert one._out.window == frames.INITIAL_WINDOW + 9
    one.data_received(frame(frames.WINDOW_UPDATE, 0, 1, b"\x80\0\0\1"))  # whose first bit means nothing
    assert one.seen[-1] == ("pump", 1, 106)


def test_what_is_held_of_half_a_frame_is_counted_and_given_back() -> None:
    one = Noting()
    sent = frame(frames.DATA, 0, 1, b"x" * 50)
    one.data_received(sent[:40])
    assert one._gate.held_bytes == 40
    one.data_received(sent[40:])
    assert one._gate.held_bytes == 0
    one.data_received(sent[:30])
    one.connection_lost(None)
    assert (one._gate.held_bytes, one._gate.open) == (0, set())


def test_more_than_all_may_hold_ends_the_connection() -> None:
    one = Noting()
    one._gate.hold(HELD_BYTES - 10)
    one.data_received(frame(frames.DATA, 0, 1, b"x" * 50)[:11])

    kind, _, _, payload = one.wire.taken()[-1]
    assert (kind, struct.unpack(">LL", payload[:8])[1]) == (frames.GOAWAY, Reason.ENHANCE_YOUR_CALM)
    assert payload[8:] == b"calls on their way hold 100000 bytes already; try again later"
    one.connection_lost(None)
    assert one._gate.held_bytes == HELD_BYTES - 10


def test_nothing_is_read_from_who_does_not_take_its_answers() -> None:
    one = Noting()
    one.pause_writing()
    assert not one.wire.reads
    turns = one.turns
    one.resume_writing()
    assert (one.wire.reads, one.turns) == (True, turns + 1)


def test_a_call_that_is_given_up_is_said_and_a_frame_that_is_not_known_is_passed_over() -> None:
    one = Noting()
    one.data_received(
        frames.reset(1, Reason.CANCEL) + frame(0xEE, 0xFF, 1, b"x") + frame(frames.PRIORITY, 0, 1, b"12345")
    )

    assert (one.seen, one.wire.taken()) == ([("reset", 1)], [])


def test_who_says_nothing_has_as_long_as_for_headers() -> None:
    one = Noting(greeted=False)
    (deadline,) = one._gate._waiting.values()

    assert 0 < deadline - clock().time() <= one._gate.allowance.header_s


@pytest.mark.parametrize("end", [Noting.drop, lambda one: one.data_received(frames.window_update(0, 0))])
def test_what_is_closed_is_left_alone(end: Callable[[Noting], object]) -> None:
    one = Noting()
    end(one)
    one.pause_writing()
    one.resume_writing()
    one.data_received(POST)

    assert (one.wire.reads, one.seen) == (True, [])


def test_calls_that_nobody_waits_for_any_more_are_dropped() -> None:
    one = Noting()
    one.stream(1)
    one.stream(3)
    one.connection_lost(ConnectionResetError())

    assert one.seen == [("drop", 1), ("drop", 3)]


GOODBYE = (frames.GOAWAY, 0, 0, struct.pack(">LL", frames.LARGEST_WINDOW, Reason.NO_ERROR))


def test_who_is_asked_to_go_is_heard_until_it_knows() -> None:
    one = Noting()
    one.stream(1)
    one.leave()
    one.leave()
    goodbye, (kind, flags, _, word) = one.wire.taken()
    assert (goodbye, kind, flags) == (GOODBYE, frames.PING, 0)
    one.data_received(frame(frames.HEADERS, frames.END_HEADERS, 3, b"\x83"))  # begun before it had heard

    one.data_received(frame(frames.PING, frames.ACK, 0, b"anything"))
    assert one.wire.taken() == []
    one.data_received(frame(frames.PING, frames.ACK, 0, word) * 2)

    assert one.wire.taken() == [(frames.GOAWAY, 0, 0, struct.pack(">LL", 3, Reason.NO_ERROR))]
    assert one.wire.state == "open", "a call is answered yet"
    one.finish(1)
    assert one.wire.state == "closed"


def test_a_goodbye_that_was_not_said_is_not_answered() -> None:
    one = Noting()
    one.data_received(frame(frames.PING, frames.ACK, 0, b"goodbye!"))

    assert (one.wire.taken(), one.wire.state) == ([], "open")
