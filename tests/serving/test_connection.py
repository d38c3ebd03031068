from __future__ import annotations

import contextlib
import json
import socket
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.serving.conftest import Running
from tests.serving.raw import INFER, LENGTH, ask, length_prefixed, post, status_and_error, tensor
from tests.serving.servers import sample_of


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (b"\x16\x03\x01 hello", 400, "not an HTTP request"),
        (b"GET /v2\n", 400, "not an HTTP request"),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400, "not an HTTP request: Invalid header token"),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505, "HTTP/2.0 is not spoken here"),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n", 405, "this server is no proxy"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000, 431, "larger than 16384 bytes"),
        (b"POST /x HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400, "Duplicate Content-Length"),
        (b"POST /x HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "can't be present with"),
        (b"POST /v1/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz", 400, "not a chunked body"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, "the header 'host' came twice"),
        (post(INFER, b"x", "Expect: magic"), 417, "the only expectation that is met is 100-continue"),
        (
            post(INFER, b"x", f"{LENGTH}: 1", f"{LENGTH}: 0"),
            400,
            "the header 'inference-header-content-length' came twice",
        ),
    ],
)
def test_what_is_no_request_has_the_protocols_error(server: Running, data: Any, status: int, message: str) -> None:
    found, error = status_and_error(ask(server, data))

    assert found == status
    assert message in error


def test_what_is_no_request_is_counted(server: Running, client: httpx.Client) -> None:
    name = 'modelyard_requests_total{protocol="http",operation="malformed",code="400"}'
    before = sample_of(client, name)
    ask(server, b"\x16\x03\x01")

    assert sample_of(client, name) == before + 1


def test_the_absolute_form_of_a_target_is_the_same(server: Running) -> None:
    answer = ask(server, b"GET http://any.host:1/v2/health/live?x=/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert answer.endswith(b'{"live":true}')


def test_a_client_that_ends_its_side_gets_its_answer(server: Running) -> None:
    answer = ask(server, post(INFER, json.dumps(tensor()).encode()), end=True)

    assert answer.startswith(b"HTTP/1.1 200")


def test_requests_behind_one_another_are_answered_in_turn(server: Running) -> None:
    body = json.dumps(tensor()).encode()
    data = b"".join(post(INFER, json.dumps(tensor() | {"id": str(number)}).encode()) for number in range(20))
    last = post("/v2/health/live", body, "Connection: close").replace(b"POST", b"GET")

    answer = ask(server, data + last)

    order = [answer.find(b'"id":"%d"' % number) for number in range(20)]
    assert order == sorted(order)
    assert order[0] > 0
    assert answer.count(b"HTTP/1.1 200") == 21


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_body_in_chunks_is_read_and_the_connection_goes_on(client: httpx.Client, size: int) -> None:
    body = json.dumps(tensor(4)).encode()
    for _ in range(2):
        pieces = (body[at : at + size] for at in range(0, len(body), size))
        assert client.post(INFER, content=pieces).status_code == 200


def test_a_wish_for_another_protocol_is_passed_over(server: Running) -> None:
    lines = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    answer = ask(server, post(INFER, json.dumps(tensor()).encode(), *lines), end=True)

    assert answer.startswith(b"HTTP/1.1 200")


def test_a_client_may_ask_before_it_sends(server: Running) -> None:
    body = json.dumps(tensor()).encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as peer:
        peer.sendall(post(INFER, body, "Expect: 100-continue")[: -len(body)])
        assert peer.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.sendall(body)
        assert peer.recv(100).startswith(b"HTTP/1.1 200")


def test_head_has_the_length_and_no_body(client: httpx.Client) -> None:
    answer = client.head("/v2/models/digits")

    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) == len(client.get("/v2/models/digits").content)


def test_deflate_is_taken_and_answers_are_compressed_for_who_asks(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    body = json.dumps(tensor(64)).encode()
    with start(models / "float32") as server, server.client(headers={"accept-encoding": ""}) as client:
        plain = client.post(INFER, content=zlib.compress(body), headers={"content-encoding": "deflate"})
        for coding in ("gzip", "deflate"):
            packed = client.post(INFER, content=body, headers={"accept-encoding": f"br, {coding};q=0.5"})
            assert packed.headers["content-encoding"] == coding
            assert packed.json() == plain.json()
        refused = client.post(INFER, content=body, headers={"accept-encoding": "gzip;q=0"})

    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in refused.headers
    assert len(plain.content) > 4096


@pytest.mark.parametrize("binary", [False, True])
def test_the_likeliest_classes_are_named_for_who_asks(client: httpx.Client, binary: bool) -> None:
    body = tensor(2) | {
        "outputs": [{"name": "probabilities", "parameters": {"classification": 3, "binary_data": binary}}]
    }
    probabilities = np.reshape(client.post(INFER, json=tensor(2)).json()["outputs"][0]["data"], (2, 10))

    answer = client.post(INFER, json=body)

    head = json.loads(answer.content[: int(answer.headers[LENGTH])]) if binary else answer.json()
    (output,) = head["outputs"]
    assert (output["datatype"], output["shape"]) == ("BYTES", [2, 3])
    texts = length_prefixed(answer.content[int(answer.headers[LENGTH]) :]) if binary else output["data"]
    best = np.argsort(-probabilities, axis=1)[:, :3]
    assert texts == [f"{probabilities[row][one]:f}:{one}:{one}" for row in range(2) for one in best[row]]


def test_what_is_not_kept_from_request_to_request_is_refused(client: httpx.Client) -> None:
    answer = client.post(INFER, json=tensor() | {"parameters": {"sequence_id": 7}})

    assert answer.status_code == 400
    assert "'sequence_id' is 7" in answer.json()["error"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"priority": 1}, "'priority' is 1, but requests wait in one line here; leave it out, or ask with 0"),
        (
            {"priority": "high"},
            "'priority' is \"high\", but requests wait in one line here; leave it out, or ask with 0",
        ),
        ({"priority": False}, "'priority' is false, but requests wait in one line here; leave it out, or ask with 0"),
        ({"timeout": -1}, "'timeout' is -1, expected microseconds, a whole number"),
        ({"timeout": 1.5}, "'timeout' is 1.5, expected microseconds, a whole number"),
        ({"timeout": True}, "'timeout' is true, expected microseconds, a whole number"),
        ({"timeout": "1"}, "'timeout' is \"1\", expected microseconds, a whole number"),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused(
    client: httpx.Client, parameters: dict[str, Any], message: str
) -> None:
    answer = client.post(INFER, json=tensor() | {"parameters": parameters})

    assert (answer.status_code, answer.json()) == (400, {"error": message})


def test_an_answer_that_is_not_taken_does_not_stop_others(server: Running, client: httpx.Client) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.setblocking(False)
        end = time.monotonic() + 3
        try:
            while time.monotonic() < end:
                peer.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
        except BlockingIOError:
            pass
        assert client.get("/v2/health/live").status_code == 200


def test_a_client_that_still_sends_sees_why_it_is_refused(server: Running) -> None:
    with httpx.Client(base_url=server.url, timeout=20) as client:
        assert client.post(INFER, content=b" " * 700_000).status_code == 413
