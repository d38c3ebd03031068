"""Requests and answers as they stand in memory, and how an answer's head is written."""

from __future__ import annotations

import http.client
import io
import json
import math
import socket
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.serving.messages import REASONS, Request, Response, error_response, json_response
from modelyard.serving.metrics import STATUSES
from modelyard.serving.trace import Trace

DATE = b"Mon, 30 Nov 2026 01:00:00 GMT"


class Peer:
    """Lets Python's own client read an answer."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def makefile(self, _: str) -> io.BytesIO:
        return io.BytesIO(self.data)


def read(data: bytes) -> tuple[http.client.HTTPResponse, bytes]:
    response = http.client.HTTPResponse(cast("socket.socket", Peer(data)))
    response.begin()
    return response, response.read()


def test_another_client_reads_what_is_written() -> None:
    answer = Response(200, b'{"live":true}', headers=((b"x-a", b"1"), (b"x-b", b"2")))
    trace = Trace("a" * 32, "b" * 16, "", 1)

    found, body = read(answer.head(date=DATE, close=True, trace=trace) + answer.body)

    assert (found.status, found.reason, body) == (200, "OK", answer.body)
    assert dict(found.getheaders()) == {
        "content-type": "application/json",
        "content-length": "13",
        "date": DATE.decode(),
        "x-a": "1",
        "x-b": "2",
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
        "connection": "close",
    }


def test_a_connection_that_stays_is_not_said_to_close_and_no_trace_is_none() -> None:
    found, _ = read(Response(404, b"").head(date=DATE, close=False))

    assert found.getheader("connection") is found.getheader("traceparent") is None
    assert found.getheader("content-length") == "0"


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_that_is_counted_has_a_reason(status: int) -> None:
    found, _ = read(Response(status, b"").head(date=DATE, close=True))

    assert found.reason.encode() == REASONS[status] != b""


def test_arrays_are_written_as_json() -> None:
    answer = json_response({"a": np.array([[1, 2]], np.uint8), "b": np.float32(0.5), "c": math.nan}, 201)

    assert (answer.status, answer.media_type) == (201, b"application/json")
    assert json_response({}).status == 200
    assert json.loads(answer.body) == {"a": [[1, 2]], "b": 0.5, "c": None}


@given(st.text(st.characters()))
def test_any_message_is_said_and_what_is_no_utf_8_is_replaced(message: str) -> None:
    said = json.loads(error_response(400, message).body)

    assert said == {"error": message.encode("utf-8", "replace").decode()}


def test_half_a_character_of_a_strange_path_is_no_failure() -> None:
    assert json.loads(error_response(404, "Not Found: /\udcff").body) == {"error": "Not Found: /?"}


def test_whoever_comes_too_much_may_come_again() -> None:
    assert error_response(503, "later", ((b"x", b"y"),)).headers == ((b"retry-after", b"1"), (b"x", b"y"))
    assert error_response(401, "who", ((b"x", b"y"),)).headers == ((b"x", b"y"),)


def test_a_header_is_text_of_any_bytes() -> None:
    request = Request("GET", "/v2", {b"x": b"\xe9"})

    assert (request.text(b"x"), request.text(b"y")) == ("é", None)
