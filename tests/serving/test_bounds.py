"""What a stranger may do to a connection: time, memory and guesses are bounded."""

from __future__ import annotations

import contextlib
import gzip
import re
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.serving.conftest import Running
from tests.serving.raw import INFER, ask, post, read_or_reset, status_and_error, tensor
from tests.serving.servers import PREDICT, files, sample_of, wait_until


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
    quicker = "import runpy; from modelyard.serving import listener; listener.TLS_HANDSHAKE_S = 1.5"
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
