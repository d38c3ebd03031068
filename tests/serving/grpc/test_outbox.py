"""What goes to a client, and no more of it than the client takes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

hpack = pytest.importorskip("hpack", reason="hpack is not installed")

from modelyard.serving.grpc import frames  # noqa: E402 - it needs hpack
from modelyard.serving.grpc.frames import Broken, Code, Reason  # noqa: E402
from modelyard.serving.grpc.outbox import FRAME_BYTES, Outbox, opening  # noqa: E402
from modelyard.serving.grpc.stream import Stream  # noqa: E402
from modelyard.serving.messages import Request  # noqa: E402
from modelyard.serving.trace import Trace  # noqa: E402

ENDING = frames.status_field(Code.OK)


def stream(number: int = 1, *, outgoing: bytes = b"", window: int = 1 << 20, whole: bool = True) -> Stream:
    one = Stream(number, Request("POST", "/a.B/C", {}), 0.0, 0.0, window, whole=whole)
    one.outgoing = outgoing
    return one


def parsed(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """Return the frames in `data`: type, flags, stream and payload."""
    found = []
    while data:
        end = 9 + int.from_bytes(data[:3], "big")
        found.append((data[3], data[4], int.from_bytes(data[5:9], "big"), data[9:end]))
        data = data[end:]
    return found


def test_an_answer_is_opened_once_and_ends_with_its_status() -> None:
    out, one = Outbox(), stream(7, outgoing=b"abc")
    out.open(one)
    out.open(one)
    assert not out.fill(one), "nobody knows yet how it ends"
    one.ending = ENDING
    assert out.fill(one)

    assert parsed(out.take()) == [
        (frames.HEADERS, frames.END_HEADERS, 7, frames.OPENING),
        (frames.DATA, 0, 7, b"abc"),
        (frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 7, ENDING),
    ]
    assert out.take() == b""


def test_a_client_that_has_not_sent_all_need_not() -> None:
    out, one = Outbox(), stream(whole=False)
    one.ending = ENDING

    assert out.fill(one)
    assert parsed(out.take())[-1] == (frames.RST_STREAM, 0, 1, struct.pack(">L", Reason.NO_ERROR))


@given(
    size=st.integers(0, 200_000),
    window=st.integers(0, 100_000),
    shared=st.integers(1, 100_000),
    most=st.integers(16_384, 100_000),
)
def test_it_goes_as_far_as_both_windows_and_the_frames_reach(size: int, window: int, shared: int, most: int) -> None:
    out, one = Outbox(), stream(outgoing=bytes(size), window=window)
    out.set(frames.MAX_FRAME_SIZE, most)
    out.window, one.ending = shared, ENDING

    ended = out.fill(one)

    sizes = [len(payload) for kind, _, _, payload in parsed(out.take()) if kind == frames.DATA]
    sent = min(size, window, shared)
    assert (sum(sizes), len(one.outgoing), ended) == (sent, size - sent, sent == size)
    assert (one.window, out.window) == (window - sent, shared - sent)
    assert max(sizes, default=0) <= min(most, FRAME_BYTES)


def test_nothing_is_lost_or_doubled_where_a_window_opens_by_and_by() -> None:
    message, out = bytes(range(256)) * 40, Outbox()
    one = stream(outgoing=message, window=0)
    one.ending = ENDING
    steps = 0
    while not out.fill(one):
        out.widen(one, 777)
        steps += 1

    assert b"".join(payload for kind, _, _, payload in parsed(out.take()) if kind == frames.DATA) == message
    assert steps == -(-len(message) // 777)


def test_a_window_that_a_setting_made_negative_must_be_filled_first() -> None:
    out, one = Outbox(), stream(outgoing=b"abc", window=-5)
    one.ending = ENDING
    out.widen(one, 5)
    assert not out.fill(one)
    out.widen(one, 3)
    assert out.fill(one)


def test_each_window_opens_by_itself() -> None:
    out, one = Outbox(), stream(window=10)
    out.widen(None, 5)
    assert (out.window, one.window) == (frames.INITIAL_WINDOW + 5, 10)
    out.widen(one, 7)
    assert (out.window, one.window) == (frames.INITIAL_WINDOW + 5, 17)


def test_a_window_has_its_bounds() -> None:
    out, one = Outbox(), stream(window=0)
    out.widen(one, frames.LARGEST_WINDOW)
    for more, reason in ((0, Reason.PROTOCOL_ERROR), (1, Reason.FLOW_CONTROL_ERROR)):
        with pytest.raises(Broken, match="no window") as told:
            out.widen(one, more)
        assert told.value.reason == reason
    with pytest.raises(Broken):
        out.widen(None, frames.LARGEST_WINDOW)


def test_the_window_that_streams_begin_with_changes_those_that_there_are_by_as_much() -> None:
    out = Outbox()

    assert out.set(frames.INITIAL_WINDOW_SIZE, 100) == 100 - frames.INITIAL_WINDOW
    assert out.set(frames.INITIAL_WINDOW_SIZE, frames.LARGEST_WINDOW) == frames.LARGEST_WINDOW - 100
    assert (out.initial_window, out.window) == (frames.LARGEST_WINDOW, frames.INITIAL_WINDOW)
    assert out.set(0xEEEE, 1) == 0, "what is not known is passed over"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (frames.INITIAL_WINDOW_SIZE, 1 << 31, Reason.FLOW_CONTROL_ERROR),
        (frames.MAX_FRAME_SIZE, 16_383, Reason.PROTOCOL_ERROR),
        (frames.MAX_FRAME_SIZE, 1 << 24, Reason.PROTOCOL_ERROR),
    ],
)
def test_a_setting_beyond_its_bounds_ends_the_connection(name: int, value: int, reason: Reason) -> None:
    with pytest.raises(Broken) as told:
        Outbox().set(name, value)
    assert told.value.reason == reason


def test_frames_are_as_small_as_the_rfc_says_until_the_client_takes_larger_ones() -> None:
    out, one = Outbox(), stream(outgoing=bytes(40_000))
    out.fill(one)
    assert out.set(frames.MAX_FRAME_SIZE, (1 << 24) - 1) == 0
    one.outgoing, out.window = bytes(100_000), 100_000
    out.fill(one)

    assert [len(payload) for *_, payload in parsed(out.take())] == [
        16_384,
        16_384,
        7_232,
        FRAME_BYTES,
        100_000 - FRAME_BYTES,
    ]


def test_an_answer_names_the_trace_of_its_call() -> None:
    one = stream()
    assert opening(one) == frames.OPENING
    one.request.trace = Trace("a" * 32, "b" * 16, "", 1)

    found = dict(hpack.Decoder().decode(opening(one)))
    assert found["traceparent"] == f"00-{'a' * 32}-{'b' * 16}-01"
    assert found[":status"] == "200"
