"""What went wrong is said in one way, and a large answer is compressed for who asks for it."""

from __future__ import annotations

import gzip
import json
import logging
import zlib

import pytest

from modelyard.serving.answers import COMPRESS_BYTES, FAILED, compressed, failure
from modelyard.serving.errors import InputError, Overloaded, RequestError
from modelyard.serving.messages import Request, Response
from modelyard.serving.tensors import TensorError

LARGE = b"0.25," * COMPRESS_BYTES


def asked(accepts: bytes | None) -> Request:
    return Request("GET", "/v2", {} if accepts is None else {b"accept-encoding": accepts})


@pytest.mark.parametrize(
    ("exc", "status"),
    [
        (RequestError(404, "no such model"), 404),
        (TensorError("no such model"), 400),
        (InputError("no such model"), 400),
        (Overloaded("no such model"), 503),
    ],
)
def test_a_mistake_of_the_client_is_said_in_words(exc: Exception, status: int) -> None:
    answer = failure(exc)

    assert (answer.status, json.loads(answer.body)) == (status, {"error": "no such model"})


def test_a_mistake_of_ours_is_in_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "modelyard.serving"):
        answer = failure(ValueError("/secret/path"))

    assert (answer.status, json.loads(answer.body)) == (500, {"error": FAILED})
    assert "/secret/path" in caplog.text


@pytest.mark.parametrize("accepts", [b"gzip", b"br, GZIP;q=0.5", b"deflate, gzip", b"gzip; q=0.001"])
def test_gzip_is_taken_where_it_may_be(accepts: bytes) -> None:
    answer = compressed(Response(200, LARGE), asked(accepts))

    assert gzip.decompress(answer.body) == LARGE
    assert answer.headers == ((b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"))


@pytest.mark.parametrize("accepts", [b"deflate", b"gzip;q=0, deflate", b"br, gzip; q = 0, deflate;q=1"])
def test_deflate_is_taken_where_gzip_may_not_be(accepts: bytes) -> None:
    answer = compressed(Response(200, LARGE, headers=((b"x", b"y"),)), asked(accepts))

    assert zlib.decompress(answer.body) == LARGE
    assert answer.headers[:2] == ((b"x", b"y"), (b"content-encoding", b"deflate"))


@pytest.mark.parametrize("accepts", [None, b"", b"br", b"identity", b"gzip;q=0", b"gzip;q=0, deflate; q=0", b"gzipped"])
def test_an_answer_goes_as_it_is_where_nothing_is_allowed(accepts: bytes | None) -> None:
    answer = compressed(Response(200, LARGE), asked(accepts))

    assert (answer.body, answer.headers) == (LARGE, ())


def test_a_small_answer_goes_as_it_is() -> None:
    assert compressed(Response(200, b"x" * (COMPRESS_BYTES - 1)), asked(b"gzip")).headers == ()
    assert compressed(Response(200, b"x" * COMPRESS_BYTES), asked(b"gzip")).headers != ()


def test_the_same_answer_is_compressed_to_the_same_bytes() -> None:
    first, second = (compressed(Response(200, LARGE), asked(b"gzip")).body for _ in range(2))

    assert first == second
    assert int.from_bytes(first[4:8], "little") == 0, "no time is in it"
