"""Several processes behind one port: readiness, metrics, draining, and one that ends by itself."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.conftest import Running
from tests.serving.servers import PREDICT, group_is_gone, run, sample_of, wait_until
from tests.standins import as_on_macos

INFER = "/v2/models/digits/infer"


def children(server: Any) -> list[int]:
    path = f"/proc/{server.process.pid}/task/{server.process.pid}/children"
    with open(path) as file:
        return [int(number) for number in file.read().split()]


def all_ready(server: Any) -> None:
    with server.client() as client:
        wait_until(lambda: client.get("/v2/health/ready").status_code == 200, 60)


def test_two_workers_share_the_port_and_add_up_their_counts(
    start: Callable[..., contextlib.AbstractContextManager[Running]],
    models: Path,
    raw: np.ndarray,
    expected: Callable[[Path, np.ndarray], np.ndarray],
) -> None:
    want = expected(models / "float32", raw)
    with start(models / "float32", WORKERS="2") as server:
        all_ready(server)
        assert len(children(server)) == 2
        clients = [server.client() for _ in range(4)]

        def ask(number: int) -> tuple[Any, Any]:
            row = number % len(raw)
            return row, clients[number % 4].post(PREDICT, json={"instances": raw[row : row + 1].tolist()}).json()

        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(ask, range(80)))
        counts = {sample_of(client, "modelyard_samples_total") for client in clients}
        served = {pid: cpu_ticks(pid) for pid in children(server)}
        for client in clients:
            client.close()
        assert server.stop() == 0

    for row, answer in answers:
        np.testing.assert_allclose(answer["predictions"][0], want[row], atol=1e-6)
    assert counts == {80.0}
    assert all(served.values())
    assert group_is_gone(server.process.pid)


def cpu_ticks(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_connections_are_shared_evenly(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    with start(models / "float32", WORKERS="2", LOG_LEVEL="debug") as server:
        all_ready(server)
        rounds = [unevenness(server) for _ in range(5)]

    assert min(rounds) <= 2, rounds  # a worker that gets no time while another has some lags behind


def unevenness(server: Any) -> Any:
    """Return by how many of 8 connections the two workers differ."""
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            assert stack.enter_context(server.client()).get("/v2/health/live").status_code == 200
        first, second = (len(os.listdir(f"/proc/{pid}/fd")) for pid in children(server))  # noqa: PTH208
    return abs(first - second)


def test_another_worker_takes_the_place_of_one_that_ends(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, raw: np.ndarray
) -> None:
    with start(models / "float32", WORKERS="2") as server:
        all_ready(server)
        first, second = children(server)
        os.kill(second, signal.SIGKILL)
        ended = server.wait_for_log("a worker ended")
        wait_until(lambda: len(children(server)) == 2, 30)
        all_ready(server)

        assert (ended["worker"], ended["code"]) == (1, -signal.SIGKILL)
        assert first in children(server)
        with server.client() as client:
            assert client.post(PREDICT, json={"instances": raw.tolist()}).status_code == 200
        assert server.stop() == 0


def test_no_request_fails_when_workers_are_told_to_stop(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, raw: np.ndarray
) -> None:
    failed, end = [], threading.Event()
    body = json.dumps({"instances": raw.tolist()}).encode()
    with start(models / "float32", WORKERS="2", DRAIN_S="1") as server:
        all_ready(server)

        def ask() -> None:
            with server.client() as client:
                while not end.is_set():
                    answer = client.post(PREDICT, content=body)
                    if answer.status_code != 200:
                        failed.append(answer.status_code)
                    if answer.headers.get("connection") == "close":
                        return

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        server.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(20)
        end.set()
        assert server.process.wait(20) == 0

    assert failed == []


def test_what_is_wrong_is_said_once(models: Path, tmp_path: Path) -> None:
    result = run(MODEL_DIR=tmp_path, WORKERS=2)

    assert result.returncode == 2
    assert result.stderr.count("model.json: No such file or directory") == 1


def test_workers_end_with_the_process_that_watches_them(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    with start(models / "float32", WORKERS="2") as server:
        all_ready(server)
        server.process.kill()
        server.process.wait(10)
        wait_until(lambda: group_is_gone(server.process.pid))


BATCHES = """
import time, numpy as np, pathlib
class Noting:
    asked = 0
    def predict(self, raw):
        self.asked += 1
        while self.asked > 1 and not pathlib.Path({gate!r}).exists(): time.sleep(0.01)
        if self.asked > 1:
            with open({sizes!r}, "a") as file: file.write(f"{{len(raw)}} ")
        if (raw == 9).any(): raise RuntimeError("nine")
        return np.tile(raw.reshape(len(raw), -1)[:, :1] / 10, 10).astype(np.float32)
def open_noting(folder, threads): return Noting()
"""


def test_requests_that_wait_are_predicted_together_and_fail_each_for_itself(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, tmp_path: Path
) -> None:
    gate, sizes = tmp_path / "gate", tmp_path / "sizes"
    (tmp_path / "noting.py").write_text(BATCHES.format(gate=str(gate), sizes=str(sizes)))
    command = [sys.executable, "-m", "modelyard.serving"]
    settings = {"BACKEND": "noting:open_noting", "BATCHING": "on"}

    def ask(number: int) -> Any:
        sample = np.full((1, 8, 8, 1), number).tolist()
        return server.send(PREDICT, {"instances": sample})

    with (
        start(models / "float32", command, tmp_path, **settings) as server,
        server.client() as client,
    ):
        first = ask(1)
        wait_until(lambda: sample_of(client, "modelyard_requests_in_progress") == 2)
        others = [ask(number) for number in (2, 3, 9, 4)]
        wait_until(lambda: sample_of(client, "modelyard_requests_in_progress") == 6)
        gate.touch()
        answers = [sent.answer() for sent in (first, *others)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 500, 200]
    values = [answer.json()["predictions"][0][0] for answer in answers if answer.status_code == 200]
    np.testing.assert_allclose(values, [0.1, 0.2, 0.3, 0.4], atol=1e-6)
    assert sizes.read_text().split() == ["1", "4", "1", "1", "1", "1"]


@pytest.mark.parametrize("workers", ["1", "auto"])
def test_it_serves_where_there_is_nothing_that_linux_alone_has(
    models: Path, raw: np.ndarray, start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", as_on_macos())
    with start(models / "float32", WORKERS=workers) as server, server.client() as client:
        assert client.post("/v1/models/digits:predict", json={"instances": raw.tolist()}).status_code == 200
        assert client.get("/metrics").status_code == 200
        assert server.stop() == 0
