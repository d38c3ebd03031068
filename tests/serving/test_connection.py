"""HTTP itself: what a stranger may do to a connection, and what an unusual client may expect of one."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import socket
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.serving.conftest import Running
from tests.serving.test_server import PREDICT, certificate, files, sample_of, wait_until

INFER = "/v2/models/digits/infer"
LENGTH = "Inference-Header-Content-Length"
__all__ = ["certificate"]


def ask(server: Any, data: Any, *, end: bool = False, timeout_s: int = 20) -> bytes:
    """Send `data` as it is, and return all that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout_s) as peer:
        peer.sendall(data)
        if end:
            peer.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := peer.recv(65536):
            answer += piece
        return answer


def status_and_error(answer: Any) -> tuple[int, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head
    return int(head.split()[1]), json.loads(body)["error"]


def tensor(samples: int = 1, **changes: Any) -> dict[str, list[Any]]:
    known = {"name": "input", "datatype": "UINT8", "shape": [samples, 8, 8, 1], "data": [3] * 64 * samples}
    return {"inputs": [known | changes]}


def post(path: Any, body: Any, *lines: Any) -> Any:
    head = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *lines, "", ""]
    return "\r\n".join(head).encode() + body


# Limits


@pytest.mark.parametrize(
    ("start_of_request", "part"),
    [(b"GET /v2 HTTP/1.1\r\nX-A: ", "header fields"), (post(INFER, b"x" * 50)[:-40], "body")],
)
def test_a_request_that_does_not_come_to_its_end_is_408(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, start_of_request: Any, part: str
) -> None:
    with start(models / "float32", HEADER_S="1", BODY_S="1") as server:
        status, error = status_and_error(ask(server, start_of_request))

    assert (status, error) == (408, f"the request's {part} took too long to come")


@pytest.mark.parametrize("first", [b"", b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_a_connection_that_says_nothing_is_closed(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, first: bytes
) -> None:
    with start(models / "float32", HEADER_S="1", IDLE_S="1") as server:
        answer = ask(server, first)

    assert answer.count(b"HTTP/1.1 ") == bool(first)


def test_bytes_that_drip_do_not_prolong_the_time(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    with (
        start(models / "float32", HEADER_S="1") as server,
        socket.create_connection(("127.0.0.1", server.port)) as peer,
    ):
        peer.settimeout(0.2)
        answer, sent = b"", 0
        peer.sendall(b"GET / HTTP/1.1\r\nX: ")
        while b"408" not in answer:
            assert sent < 100
            try:
                answer += peer.recv(1000)
            except TimeoutError:
                peer.sendall(b"a")
                sent += 1


def test_of_too_many_connections_the_slowest_is_closed(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    with start(models / "float32", MAX_CONNECTIONS="4") as server, server.client() as client:
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(8)]
        assert client.get("/v2/health/live").status_code == 200
        for peer in idle[:4]:
            peer.settimeout(10)
            assert read_or_reset(peer) == b""
        assert sample_of(client, "modelyard_connections") <= 4
        server.wait_for_log("connections")
        for peer in idle:
            peer.close()


def read_or_reset(peer: Any) -> Any:
    try:
        return peer.recv(10)
    except ConnectionResetError:
        return b""


def test_what_requests_hold_is_bounded(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    """16 MiB is the least that the server reckons with; 15 % of it are for bodies that wait."""
    body = b" " * 1_000_000
    with start(models / "float32", MEMORY_BYTES="1") as server, server.client() as client:
        held = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(2)]
        for peer in held:
            peer.sendall(post(INFER, body)[:-1])
        wait_until(lambda: sample_of(client, "modelyard_held_bytes") > 1_900_000)

        refused = client.post(INFER, content=body)
        for peer in held:
            peer.close()
        wait_until(lambda: sample_of(client, "modelyard_held_bytes") == 0)
        served = client.post(INFER, json=tensor())

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert "requests on their way hold" in refused.json()["error"]
    assert served.status_code == 200


def test_json_whose_values_would_take_too_much_memory_is_413(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    body = b'{"instances": [' + b"[]," * 300_000 + b"0]}"
    with start(models / "float32", MEMORY_BYTES="1") as server, server.client() as client:
        answer = client.post(PREDICT, content=body)

    assert answer.status_code == 413
    assert "the JSON's values would take" in answer.json()["error"]


def test_gzip_may_not_grow_without_bound(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    body = gzip.compress(b'{"instances": [' + b"0," * 600_000 + b"0]}")
    with start(models / "float32") as server, server.client() as client:
        answer = client.post(PREDICT, content=body, headers={"content-encoding": "gzip"})

    assert answer.status_code == 413
    assert "larger than 1048576 bytes when decompressed" in answer.json()["error"]


def test_without_file_descriptors_it_says_so_once_and_goes_on(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, certificate: Path
) -> None:
    """Handshakes for TLS that never come to an end are not connections yet, but take as many descriptors."""
    quicker = "import runpy; from modelyard.serving import listener; listener.TLS_HANDSHAKE_S = 3.0"
    code = f"{quicker}; runpy.run_module('modelyard.serving', run_name='__main__')"
    command = ["bash", "-c", f'ulimit -n 110; exec {sys.executable} -c "{code}"']
    with start(models / "float32", command, **files(certificate)) as server, server.client() as client:
        peers = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(300)]
        assert client.get("/v2/health/live").status_code == 200
        for peer in peers:
            peer.close()
        assert client.get("/v2/health/live").status_code == 200
        events = [line["event"] for line in server.logs if line["level"] == "error"]

    assert events in ([], ["cannot accept"])


def waiting_backend(folder: Path) -> Any:
    """Write a backend that predicts only while a file is there, and return that file."""
    gate = folder / "gate"
    (folder / "waiting.py").write_text(
        "import time, numpy as np, pathlib\n"
        "class Waiting:\n"
        "    first = True\n"
        "    def predict(self, raw):\n"
        f"        while not self.first and not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)\n"
        "        self.first = False\n"
        "        return np.full((len(raw), 10), 0.1, np.float32)\n"
        "def open_waiting(folder, threads): return Waiting()\n"
    )
    return gate


def test_a_client_that_has_gone_leaves_the_queue_and_none_waits_for_ever(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, tmp_path: Path
) -> None:
    gate = waiting_backend(tmp_path)
    command = [sys.executable, "-m", "modelyard.serving"]
    with (
        start(models / "float32", command, tmp_path, BACKEND="waiting:open_waiting", QUEUE_S="2") as server,
        server.client() as client,
    ):
        first = server.send(INFER, tensor())
        wait_until(lambda: sample_of(client, "modelyard_requests_in_progress") == 2)
        gone = server.send(INFER, tensor())
        wait_until(lambda: sample_of(client, "modelyard_requests_in_progress") == 3)
        gone.reset()
        wait_until(lambda: sample_of(client, "modelyard_requests_in_progress") == 2)
        late = client.post(INFER, json=tensor())
        gate.touch()
        answer = first.answer()
        predictions = sample_of(client, "modelyard_inference_seconds_count")
        left = sample_of(client, 'modelyard_requests_total{protocol="oip",operation="infer",code="499"}')

    assert (late.status_code, late.headers["retry-after"]) == (503, "1")
    assert late.json() == {"error": "the request waited for 2 s; try again later"}
    assert answer.status_code == 200
    assert (predictions, left) == (1, 1)


def test_a_request_waits_for_no_longer_than_it_says(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, tmp_path: Path
) -> None:
    gate = waiting_backend(tmp_path)
    command = [sys.executable, "-m", "modelyard.serving"]
    with (
        start(models / "float32", command, tmp_path, BACKEND="waiting:open_waiting", BATCHING="on") as server,
        server.client() as client,
    ):

        def ask(**parameters: Any) -> Any:
            sent = server.send(INFER, tensor() | {"parameters": parameters})
            number = next(numbers)
            wait_until(lambda: sample_of(client, "modelyard_requests_in_progress") == number)
            return sent

        numbers = iter(range(2, 6))
        first = ask()
        impatient, patient, silent = ask(timeout=200_000), ask(timeout=60_000_000), ask(timeout=0)
        time.sleep(0.3)
        gate.touch()
        answers = [one.answer() for one in (first, impatient, patient, silent)]
        samples = sample_of(client, "modelyard_samples_total")

    assert [answer.status_code for answer in answers] == [200, 503, 200, 200]
    assert samples == 3
    assert answers[1].headers["retry-after"] == "1"
    assert re.fullmatch(
        r"the request waited for [\d.]+ s, longer than its timeout of 0\.2 s; try again later",
        answers[1].json()["error"],
    )


def test_guesses_of_the_password_are_slowed_and_the_right_one_is_still_taken(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    with start(models / "float32", USERNAME="ann", PASSWORD="right") as server, server.client() as client:
        for number in range(14):
            assert client.get("/v2", auth=("ann", f"wrong {number}")).status_code == 401
        with server.client(auth=("ann", "right")) as other:
            assert other.get("/v2").status_code == 200


# The protocol


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


def length_prefixed(data: Any) -> list[Any]:
    texts = []
    while data:
        size = int.from_bytes(data[:4], "little")
        texts.append(data[4 : 4 + size].decode())
        data = data[4 + size :]
    return texts


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
