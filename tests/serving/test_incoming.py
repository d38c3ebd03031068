"""A request as it comes in: one way to read it, or none."""

from __future__ import annotations

import gc
import weakref

import pytest

from modelyard.serving.errors import RequestError
from modelyard.serving.incoming import Incoming


def head(line: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join((line, b"Host: a", *fields)) + b"\r\n\r\n"


def test_a_request_without_a_body_is_whole_with_its_head() -> None:
    one = Incoming(10)

    request = one.read_head(head(b"GET /v2/models/a%20b?x=%20 HTTP/1.1", b"Accept: one", b"ACCEPT: two"))

    assert request is not None
    assert (request.method, request.path, request.query) == ("GET", "/v2/models/a b", "x=%20")
    assert request.headers == {b"host": b"a", b"accept": b"two"}
    assert request.repeated == {b"accept"}
    assert (one.complete, one.last, one.size) == (True, False, 0)


@pytest.mark.parametrize(
    ("target", "path"),
    [(b"http://a:80/v2?q", "/v2"), (b"http://a", "/"), (b"http://a?q", "/"), (b"*", "*"), (b"//a/v2", "//a/v2")],
)
def test_an_absolute_target_is_one_of_this_server(target: bytes, path: str) -> None:
    request = Incoming(10).read_head(head(b"GET %b HTTP/1.1" % target))

    assert request is not None
    assert request.path == path


@pytest.mark.parametrize(
    ("text", "status", "message"),
    [
        (head(b"GET / HTTP/1.1", b"Host: b"), 400, "the header 'host' came twice"),
        (head(b"POST / HTTP/1.1", b"Content-Length: 1", b"Content-Length: 1"), 400, "not an HTTP request"),
        (head(b"GET / HTTP/2.0"), 505, "HTTP/2.0 is not spoken here"),
        (head(b"CONNECT a:1 HTTP/1.1"), 405, "CONNECT is not answered"),
        (head(b"GET  HTTP/1.1"), 400, "not an HTTP request"),
    ],
)
def test_what_cannot_be_read_in_one_way_is_refused(text: bytes, status: int, message: str) -> None:
    with pytest.raises(RequestError, match=message) as refusal:
        Incoming(10).read_head(text)

    assert refusal.value.status == status


def test_empty_lines_are_no_request() -> None:
    one = Incoming(10)

    assert one.read_head(b"\r\n\r\n") is None
    assert one.read_head(head(b"GET / HTTP/1.1")) is not None


def test_a_wish_to_upgrade_is_left_alone_and_its_body_is_read() -> None:
    one = Incoming(10)

    assert one.read_head(head(b"POST / HTTP/1.1", b"Upgrade: h2c", b"Content-Length: 2")) is not None
    one.read_body(b"ab")

    assert (one.complete, one.take_body()) == (True, b"ab")


@pytest.mark.parametrize("text", [head(b"GET / HTTP/1.0"), head(b"GET / HTTP/1.1", b"Connection: close")])
def test_a_client_that_wants_to_go_says_so_in_its_head(text: bytes) -> None:
    one = Incoming(10)
    one.read_head(text)

    assert one.last


def test_a_body_comes_in_parts_and_is_counted_until_it_is_answered() -> None:
    one = Incoming(10)
    one.read_head(head(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked"))
    for part in (b"2\r\nab", b"\r\n1\r\nc\r\n", b"0\r\nTrailer: x\r\n\r\n"):
        assert not one.complete
        one.read_body(part)

    assert (one.complete, one.last, one.take_body(), one.size) == (True, False, b"abc", 3)
    one.drop()
    assert one.size == 0


def test_what_follows_a_chunked_body_ends_the_connection_and_changes_no_header() -> None:
    one = Incoming(10)
    request = one.read_head(head(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked"))
    assert request is not None
    one.read_body(b"1\r\na\r\n0\r\nHost: trailer\r\n\r\nGET /other HTTP/1.1\r\nHost: other\r\n\r\n")

    assert one.last
    assert request.headers == {b"host": b"a", b"transfer-encoding": b"chunked"}


def test_of_a_body_that_is_too_large_nothing_more_is_kept() -> None:
    one = Incoming(3)
    one.read_head(head(b"POST / HTTP/1.1", b"Content-Length: 6"))
    one.read_body(b"ab")
    one.read_body(b"cdef")

    assert (one.size, one.take_body()) == (6, b"ab")


def test_a_body_that_is_not_what_its_head_says_is_refused() -> None:
    one = Incoming(10)
    one.read_head(head(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked"))

    with pytest.raises(RequestError, match="not a chunked body"):
        one.read_body(b"zz\r\n")


def test_nothing_waits_for_the_collector_once_it_is_closed() -> None:
    one = Incoming(10)
    one.read_head(head(b"POST / HTTP/1.1", b"Content-Length: 6"))
    gone = weakref.ref(one)
    gc.disable()
    try:
        one.close()
        del one
        assert gone() is None
    finally:
        gc.enable()
