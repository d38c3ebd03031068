"""What the client of Redis does by itself: it reads replies however they come."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

resp = pytest.importorskip("modelyard_plugins.sources.redis_streams.resp")

REPLIES = st.recursive(
    st.none() | st.integers(-(1 << 63), (1 << 63) - 1) | st.binary(max_size=300),
    lambda one: st.lists(one, max_size=4),
    max_leaves=12,
)


def packed(reply: Any) -> bytes:
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, list):
        return b"*%d\r\n" % len(reply) + b"".join(map(packed, reply))
    return b"$%d\r\n%b\r\n" % (len(reply), reply)


def read(data: bytes, sizes: list[int], count: int) -> list[Any]:
    """Return `count` replies in `data`, which comes in pieces of `sizes`, over and over, and then ends."""

    async def asked() -> Any:
        reader = asyncio.StreamReader()
        writer: Any = SimpleNamespace(write=lambda _: None, drain=drained, close=lambda: None)
        connection = resp.Connection(reader, writer, "here:1")
        reading = asyncio.create_task(connection.ask_all([(b"PING",)] * count))
        at, turn = 0, 0
        while at < len(data):
            await asyncio.sleep(0)
            size = sizes[turn % len(sizes)]
            reader.feed_data(data[at : at + size])
            at, turn = at + size, turn + 1
        reader.feed_eof()
        return await reading

    async def drained() -> None:
        pass

    return list(asyncio.run(asked()))


@given(st.lists(REPLIES, min_size=1, max_size=3), st.lists(st.integers(1, 400), min_size=1, max_size=4))
def test_replies_are_read_whatever_pieces_they_come_in(replies: list[Any], sizes: list[int]) -> None:
    assert read(b"".join(map(packed, replies)), sizes, len(replies)) == replies


def test_a_large_reply_between_others_is_read() -> None:
    replies = [[b"a", bytes(1_000_000)], 7]
    assert read(b"".join(map(packed, replies)), [resp.LIMIT], 2) == replies


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"$5\r\nab", "here:1: .*expected"),
        (b":1", "here:1: the connection has ended"),
        (b"", "here:1: the connection has ended"),
        (b"HTTP/1.1 400\r\n", "not the protocol of Redis"),
        (b":" + b"1" * 200_000, "a line of more than 65536 bytes"),
        (b"*x\r\n", "invalid literal"),
    ],
)
def test_what_is_no_reply_ends_the_connection_in_words(data: bytes, said: str) -> None:
    with pytest.raises(ConnectionError, match=said):
        read(data, [70_000], 1)


def test_an_error_is_told_by_its_code() -> None:
    (wrong,) = read(b"-WRONGTYPE no stream\r\n", [100], 1)
    assert isinstance(wrong, resp.ReplyError)
    assert wrong.code == "WRONGTYPE"
