"""Blocks of headers: put together of their pieces, and no larger than allowed."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

hpack = pytest.importorskip("hpack", reason="hpack is not installed")

from modelyard.serving.grpc.frames import Broken, Reason, field  # noqa: E402 - it needs hpack
from modelyard.serving.grpc.headers import HeaderBlocks, by_name, is_request  # noqa: E402

FIELDS = [(b":method", b"POST"), (b":path", b"/a.B/C"), (b"x-bin", b"\xff\0")]


def encoded(encoder: Any, fields: list[tuple[bytes, bytes]] = FIELDS) -> bytes:
    return bytes(encoder.encode(fields))


def begun(*pieces: bytes) -> HeaderBlocks:
    """Return a block of at most 1000 bytes that has begun."""
    blocks = HeaderBlocks(1000)
    blocks.begin(1, ends=False)
    for piece in pieces:
        blocks.add(piece, last=False)
    return blocks


@given(st.lists(st.integers(0, 60), max_size=5).map(sorted), st.booleans())
def test_a_block_is_read_whatever_pieces_it_comes_in(cuts: list[int], ends: bool) -> None:
    block, blocks = encoded(hpack.Encoder()), HeaderBlocks(1000)
    bounds = [0, *(min(cut, len(block)) for cut in cuts), len(block)]
    blocks.begin(3, ends=ends)
    pieces = [block[start:end] for start, end in itertools.pairwise(bounds)]

    assert [blocks.add(piece, last=False) for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    assert (blocks.stream, blocks.ends) == (3, ends)
    assert blocks.add(pieces[-1], last=True) == FIELDS
    assert (blocks.stream, blocks.ends) == (None, ends)


def test_what_a_client_keeps_in_its_table_is_known_in_the_next_block() -> None:
    encoder, blocks = hpack.Encoder(), HeaderBlocks(1000)
    sizes = []
    for number in (1, 3):
        block = encoded(encoder)
        sizes.append(len(block))
        blocks.begin(number, ends=True)
        assert blocks.add(block, last=True) == FIELDS

    assert sizes[1] < sizes[0]


def test_headers_that_have_not_begun_or_have_ended_do_not_go_on() -> None:
    blocks = HeaderBlocks(1000)
    for _ in range(2):
        with pytest.raises(Broken, match="headers go on that have not begun") as told:
            blocks.add(b"", last=True)
        assert told.value.reason == Reason.PROTOCOL_ERROR
        blocks.begin(1, ends=False)
        blocks.add(b"\x88", last=True)


@pytest.mark.parametrize("block", [b"\xff\xff\xff", b"\x80", b"\xbe", b"\0", b"\0\5ab", b"\x40\x81\xff\x00"])
def test_a_block_that_cannot_be_read_ends_the_connection(block: bytes) -> None:
    with pytest.raises(Broken, match="headers cannot be read") as told:
        begun().add(block, last=True)
    assert told.value.reason == Reason.COMPRESSION_ERROR


def test_headers_are_bounded_before_they_are_read_and_after() -> None:
    encoder = hpack.Encoder()
    grown = b"".join(encoded(encoder, [(b"a", b"x" * 200)] * times) for times in (1, 9))
    assert len(grown) < 1000, "it is what it holds that is too much"
    for blocks, piece in ((begun(b"x" * 500), b"x" * 501), (begun(), grown)):
        with pytest.raises(Broken, match="headers are larger than 1000 bytes") as told:
            blocks.add(piece, last=piece is grown)
        assert told.value.reason == Reason.ENHANCE_YOUR_CALM


@given(st.binary(max_size=80))
def test_any_bytes_are_fields_or_the_end_of_the_connection(block: bytes) -> None:
    try:
        found = begun().add(block, last=True)
    except Broken as exc:
        assert exc.reason in (Reason.COMPRESSION_ERROR, Reason.ENHANCE_YOUR_CALM)  # noqa: PT017 - either is right
    else:
        assert isinstance(found, list)


def test_the_last_of_several_of_a_name_stands_and_the_name_is_noted() -> None:
    assert by_name([(b"a", b"1"), (b"b", b"2")]) == ({b"a": b"1", b"b": b"2"}, frozenset())
    assert by_name([(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]) == ({b"a": b"3", b"b": b"2"}, frozenset({b"a"}))
    assert by_name([]) == ({}, frozenset())


def test_a_field_outside_of_any_table_is_read() -> None:
    assert begun().add(field(b"grpc-timeout", b"1S"), last=True) == [(b"grpc-timeout", b"1S")]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [([], False), (FIELDS, True), (FIELDS[2:], False), ([FIELDS[2], FIELDS[1]], True), ([(b"a", b":path")], False)],
)
def test_a_call_begins_with_pseudo_fields(fields: list[tuple[bytes, bytes]], expected: bool) -> None:
    assert is_request(fields) is expected
