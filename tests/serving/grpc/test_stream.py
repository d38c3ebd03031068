"""One call: its message, put together and looked at as soon as its size is known, and how long its client waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("hpack", reason="hpack is not installed")

from modelyard.serving.errors import RequestError
from modelyard.serving.grpc.frames import INITIAL_WINDOW
from modelyard.serving.grpc.stream import Stream, timeout_s
from modelyard.serving.messages import Request


def stream(*pieces: bytes, encoding: bytes | None = None) -> Stream:
    headers = {} if encoding is None else {b"grpc-encoding": encoding}
    one = Stream(1, Request("POST", "/a.B/C", headers), 0.0, 0.0, INITIAL_WINDOW)
    for piece in pieces:
        one.add(piece)
    return one


def prefixed(message: bytes, flag: int = 0) -> bytes:
    return bytes((flag,)) + len(message).to_bytes(4, "big") + message


@given(st.binary(max_size=40), st.lists(st.integers(0, 45), max_size=4).map(sorted))
def test_a_message_is_whole_whatever_pieces_it_comes_in(message: bytes, cuts: list[int]) -> None:
    data, one = prefixed(message), stream()
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        one.add(data[start:end])
        one.check(40)
    one.finish()

    assert bytes(one.request.body) == message
    assert (one.data, one.expected) == (b"", len(data)), "it is not kept twice"


def test_a_message_of_one_piece_is_not_copied() -> None:
    data = prefixed(b"abc")

    assert stream(data).data is data


def test_a_message_that_is_too_large_is_refused_before_it_comes() -> None:
    one = stream(prefixed(b"x" * 41)[:4])
    one.check(40)
    assert one.expected is None, "its size is not known yet"
    one.add(prefixed(b"x" * 41)[4:5])

    with pytest.raises(RequestError, match=r"^the request's message is larger than 40 bytes$") as told:
        one.check(40)
    assert told.value.status == 413


def test_more_than_one_message_is_refused() -> None:
    with pytest.raises(RequestError, match="more than one message came") as told:
        stream(prefixed(b"a"), b"\0").check(40)
    assert told.value.status == 400


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "no message came"), (b"\0\0\0", "cut short"), (prefixed(b"abc")[:-1], "cut short")],
)
def test_a_message_that_is_not_whole_is_refused(data: bytes, message: str) -> None:
    one = stream(data)
    one.check(40)

    with pytest.raises(RequestError, match=message) as told:
        one.finish()
    assert told.value.status == 400


@pytest.mark.parametrize(("flag", "encoding"), [(1, None), (1, b"identity"), (2, b"gzip")])
def test_what_is_compressed_must_say_how(flag: int, encoding: bytes | None) -> None:
    one = stream(prefixed(b"abc", flag), encoding=encoding)
    one.check(40)

    with pytest.raises(RequestError, match="'grpc-encoding' does not say how") as told:
        one.finish()
    assert told.value.status == 400


def test_how_it_is_compressed_is_said_as_http_says_it_and_only_where_it_is() -> None:
    for flag, found in ((1, b"gzip"), (0, None)):
        one = stream(prefixed(b"abc", flag), encoding=b"gzip")
        one.check(40)
        one.finish()
        assert one.request.headers.get(b"content-encoding") == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [(b"2H", 7200), (b"3M", 180), (b"4S", 4), (b"5m", 5e-3), (b"6u", 6e-6), (b"7n", 7e-9), (b"00000009S", 9)],
)
def test_a_deadline_is_read_in_each_unit(text: bytes, expected: float) -> None:
    assert timeout_s(Request("POST", "/", {b"grpc-timeout": text})) == pytest.approx(expected)


@pytest.mark.parametrize("text", [b"", b"S", b"1", b"1s", b"-1S", b"1.5S", b"123456789S", b"1S ", b"1S\n", b"\xff1S"])
def test_what_is_no_deadline_is_refused(text: bytes) -> None:
    with pytest.raises(RequestError, match=r"^'grpc-timeout' is .*, expected up to 8 digits and a unit") as told:
        timeout_s(Request("POST", "/", {b"grpc-timeout": text}))
    assert told.value.status == 400


def test_a_client_that_names_no_deadline_waits_as_long_as_it_takes() -> None:
    assert timeout_s(Request("POST", "/", {})) is None
