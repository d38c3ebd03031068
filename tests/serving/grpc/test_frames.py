"""Frames and header fields, byte by byte: what another implementation reads of them, and what RFC 9113 says they are."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

hpack = pytest.importorskip("hpack", reason="hpack is not installed")

from modelyard.serving.grpc import frames  # noqa: E402 - it needs hpack
from modelyard.serving.grpc.frames import CODES, Broken, Code, Reason, field, fragment, message_field, unpadded  # noqa: E402
from modelyard.serving.observe import GRPC_CODES  # noqa: E402


def fields(block: bytes) -> list[tuple[bytes, bytes]]:
    return list(hpack.Decoder(max_header_list_size=1 << 20).decode(block, raw=True))


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (frames.frame(frames.PING, frames.ACK, 0, b"12345678"), "000008 06 01 00000000 3132333435363738"),
        (frames.frame(frames.DATA, frames.END_STREAM, 0x01020304, b"\xff"), "000001 00 01 01020304 ff"),
        (frames.settings({frames.MAX_CONCURRENT_STREAMS: 100}), "000006 04 00 00000000 0003 00000064"),
        (frames.settings({}), "000000 04 00 00000000"),
        (frames.window_update(3, 0x01020304), "000004 08 00 00000003 01020304"),
        (frames.reset(5, Reason.CANCEL), "000004 03 00 00000005 00000008"),
        (frames.goaway(7, Reason.ENHANCE_YOUR_CALM, "é!"), "00000a 07 00 00000000 00000007 0000000b 3f21"),
    ],
)
def test_a_frame_is_what_the_rfc_says(made: bytes, expected: str) -> None:
    assert made == bytes.fromhex(expected.replace(" ", ""))


def test_the_size_of_a_large_frame_has_three_bytes() -> None:
    assert frames.frame(frames.DATA, 0, 1, b"x" * 0x010203)[:3] == b"\1\2\3"


def test_types_flags_and_settings_have_the_numbers_of_the_rfc() -> None:
    assert (frames.RST_STREAM, frames.SETTINGS, frames.GOAWAY, frames.CONTINUATION) == (3, 4, 7, 9)
    assert (frames.END_HEADERS, frames.PADDED, frames.HAS_PRIORITY) == (4, 8, 32)
    assert (frames.INITIAL_WINDOW_SIZE, frames.MAX_FRAME_SIZE, frames.MAX_HEADER_LIST_SIZE) == (4, 5, 6)


@given(st.binary(max_size=300), st.integers(0, 255), st.integers(0, 255))
def test_what_a_frame_is_padded_with_is_taken_away(data: bytes, size: int, others: int) -> None:
    flags = others | frames.PADDED
    assert unpadded(flags, bytes((size,)) + data + b"\0" * size) == data
    assert unpadded(others & ~frames.PADDED, data) == data


@pytest.mark.parametrize("payload", [b"\1", b"\3\0\0"])
def test_padding_beyond_the_frame_ends_the_connection(payload: bytes) -> None:
    with pytest.raises(Broken, match="padded with more than it holds") as told:
        unpadded(frames.PADDED, payload)

    assert told.value.reason == Reason.PROTOCOL_ERROR


@given(st.binary(max_size=300), st.binary(min_size=5, max_size=5), st.integers(0, 255))
def test_a_priority_stands_before_the_block_and_padding_behind(block: bytes, priority: bytes, size: int) -> None:
    whole = frames.PADDED | frames.HAS_PRIORITY
    assert fragment(whole, bytes((size,)) + priority + block + b"\0" * size) == block
    assert fragment(frames.HAS_PRIORITY, priority + block) == block
    assert fragment(0, block) == block


@pytest.mark.parametrize(
    ("flags", "payload"),
    [
        (frames.PADDED, b""),
        (frames.PADDED | frames.HAS_PRIORITY, b""),
        (frames.HAS_PRIORITY, b""),
        (frames.HAS_PRIORITY, b"1234"),
        (frames.HAS_PRIORITY | frames.PADDED, b"\0" + b"1234"),
        (frames.HAS_PRIORITY | frames.PADDED, b"\1" + b"12345"),
    ],
)
def test_headers_too_short_for_what_their_flags_say_end_the_connection(flags: int, payload: bytes) -> None:
    with pytest.raises(Broken) as told:
        fragment(flags, payload)

    assert told.value.reason == Reason.FRAME_SIZE_ERROR


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=300), st.binary(max_size=300)), max_size=4))
def test_fields_are_read_by_another_implementation(pairs: list[tuple[bytes, bytes]]) -> None:
    assert fields(b"".join(field(*pair) for pair in pairs)) == pairs


@pytest.mark.parametrize("size", [0, 1, 126, 127, 128, 254, 255, 256, 127 + 128, 127 + 16_383, 127 + 16_384, 70_000])
def test_the_size_of_a_value_is_written_in_as_many_bytes_as_it_takes(size: int) -> None:
    assert fields(field(b"n", b"v" * size) + field(b"next", b"")) == [(b"n", b"v" * size), (b"next", b"")]


def test_nothing_that_is_sent_is_kept_in_a_table() -> None:
    decoder = hpack.Decoder()
    for block in (frames.OPENING, frames.status_field(Code.OK), message_field("no"), frames.plain(405, "no")):
        decoder.decode(block)

    assert len(decoder.header_table.dynamic_entries) == 0


def test_an_answer_opens_as_grpc_wants_it() -> None:
    found = dict(fields(frames.OPENING))

    assert (found[b":status"], found[b"content-type"]) == (b"200", b"application/grpc")
    assert fields(frames.OPENING)[0][0] == b":status", "pseudo-headers come first"
    assert fields(frames.status_field(Code.UNAUTHENTICATED)) == [(b"grpc-status", b"16")]


def test_codes_have_the_numbers_and_names_of_grpc() -> None:
    grpc = pytest.importorskip("grpc", reason="grpcio is not installed")

    assert {one.name: one.value for one in Code}.items() <= {one.name: one.value[0] for one in grpc.StatusCode}.items()
    assert CODES.keys() == GRPC_CODES.keys()
    assert (CODES[200], CODES[400], CODES[504]) == (Code.OK, Code.INVALID_ARGUMENT, Code.DEADLINE_EXCEEDED)


@given(st.text(max_size=200))
def test_a_message_is_one_line_of_ascii_that_a_client_can_read(message: str) -> None:
    ((name, value),) = fields(message_field(message))

    assert name == b"grpc-message"
    assert all(0x20 <= byte < 0x7F for byte in value)
    assert unquote(value.decode()) == " ".join(message.encode("utf-8", "replace").decode().splitlines())


def test_a_message_is_cut_short() -> None:
    ((_, value),) = fields(message_field("x" * 5000))

    assert value == b"x" * frames.LONGEST_MESSAGE + b"..."
    assert fields(message_field("50% of 'é'")) == [(b"grpc-message", b"50%25 of '%C3%A9'")]


def test_what_is_no_call_is_answered_as_http() -> None:
    assert fields(frames.plain(415, "no call")) == [
        (b":status", b"415"),
        (b"content-type", b"text/plain"),
        (b"grpc-message", b"no call"),
    ]
