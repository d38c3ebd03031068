"""A server that speaks gRPC beside HTTP: password, certificate, deadlines, its stop, log and traces, and its start."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.conftest import Running
from tests.serving.grpc.asking import (
    SERVICE,
    StatusCode,
    channel,
    client_module,
    grpc,
    messages,
    over_http,
    refusal,
    request_of,
    stubs,
    tensor,
)
from tests.serving.servers import files, sample_of, wait_until
from tests.serving.test_otlp import SAMPLED, TRACE, Collector, collector, setting, values

__all__ = ["collector", "setting"]


@pytest.fixture(scope="module")
def server(start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path) -> Iterator[Any]:
    with start(models / "float32", GRPC_PORT="0") as running:
        yield running


@pytest.fixture(scope="module")
def stub(server: Any) -> Iterator[Any]:
    with channel(server) as one:
        yield stubs.GRPCInferenceServiceStub(one)


# Password, certificate, time


def test_the_password_is_asked_for_each_call_but_health(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, raw: np.ndarray
) -> None:
    login = {"authorization": "Basic " + base64.b64encode(b"ann:pass word").decode()}
    with (
        start(models / "float32", GRPC_PORT="0", USERNAME="ann", PASSWORD="pass word") as running,
        client_module.InferenceServerClient(f"127.0.0.1:{running.grpc_port}") as client,
    ):
        assert client.is_server_live()
        assert client.is_server_ready()
        for headers in (None, {"authorization": "Basic AAAA"}, {"authorization": "Bearer x"}):
            with pytest.raises(client_module.InferenceServerException, match="a user name and a password are needed"):
                client.infer("digits", [tensor(raw)], headers=headers)
        with pytest.raises(client_module.InferenceServerException, match="a user name and a password"):
            client.get_model_metadata("digits")
        assert client.infer("digits", [tensor(raw)], headers=login).as_numpy("probabilities").shape == (7, 10)


def test_guesses_are_slowed_together_with_those_over_http(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    with (
        start(models / "float32", GRPC_PORT="0", USERNAME="ann", PASSWORD="pass word") as running,
        running.client(auth=("ann", "wrong")) as client,
        channel(running) as one,
    ):
        for _ in range(15):
            assert client.get("/v2").status_code == 401
        begin = time.monotonic()
        call = stubs.GRPCInferenceServiceStub(one).ServerMetadata
        code, _ = refusal(call, messages.ServerMetadataRequest(), metadata=(("authorization", "Basic AAAA"),))
        assert (code, time.monotonic() - begin > 0.4) == (StatusCode.UNAUTHENTICATED, True)


def test_tls_with_the_certificate_of_http(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, raw: np.ndarray, certificate: Path
) -> None:
    with start(models / "float32", GRPC_PORT="0", **files(certificate)) as running:
        trusted = grpc.ssl_channel_credentials((certificate / "tls.crt").read_bytes())
        with grpc.secure_channel(f"127.0.0.1:{running.grpc_port}", trusted) as one:
            answer = stubs.GRPCInferenceServiceStub(one).ModelInfer(request_of(raw))
        assert list(answer.outputs[0].shape) == [7, 10]
        with running.client() as client:
            assert client.get("/v2").status_code == 200


SLOW = """
import time
import numpy as np

class Slow:
    def predict(self, raw):
        time.sleep(1.0)
        return np.full((len(raw), 10), 0.1, np.float32)

def open_model(folder, threads=1):
    return Slow()
"""


@pytest.fixture
def slow(
    start: Callable[..., contextlib.AbstractContextManager[Running]],
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Any]:
    """A server whose predictions take a second each."""
    (tmp_path / "slow_model.py").write_text(SLOW)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with start(
        models / "float32", GRPC_PORT="0", BACKEND="slow_model:open_model", DRAIN_S="0.5", LOG_LEVEL="debug"
    ) as running:
        yield running


def test_a_deadline_ends_the_call_and_what_waits_leaves_the_queue(slow: Any, raw: np.ndarray) -> None:
    with channel(slow) as one:
        stub = stubs.GRPCInferenceServiceStub(one)
        first = stub.ModelInfer.future(request_of(raw))
        time.sleep(0.2)  # it is being predicted
        begin = time.monotonic()
        late = [stub.ModelInfer.future(request_of(raw), timeout=0.3) for _ in range(5)]
        assert {one.exception().code() for one in late} == {StatusCode.DEADLINE_EXCEEDED}
        assert time.monotonic() - begin < 4, "each would have waited for a second of every other"
        cancelled = stub.ModelInfer.future(request_of(raw))
        time.sleep(0.1)
        cancelled.cancel()
        assert first.result().outputs
        assert stub.ModelInfer(request_of(raw)).outputs
    # The client's own clock may be the first to say so.
    wait_until(lambda: sum(line.get("status") in (499, 504) for line in slow.logs) == 6)
    with slow.client() as http:
        assert sample_of(http, "modelyard_inference_seconds_count") == 2, "what nobody waits for was not predicted"


def test_sigterm_answers_what_is_on_its_way_and_says_goodbye(slow: Any, raw: np.ndarray) -> None:
    with channel(slow) as one:
        stub = stubs.GRPCInferenceServiceStub(one)
        call = stub.ModelInfer.future(request_of(raw))
        time.sleep(0.2)
        slow.process.send_signal(signal.SIGTERM)
        slow.wait_for_log("draining")
        assert not stub.ServerReady(messages.ServerReadyRequest()).ready
        assert call.result().outputs
        assert slow.process.wait(timeout=10) == 0
    assert [line["event"] for line in slow.logs if line["level"] in ("warning", "error")] == []


def test_clients_that_go_on_asking_see_no_failure_until_the_port_closes(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, raw: np.ndarray
) -> None:
    # It drains for longer than a busy machine takes to end four threads that ask.
    with start(models / "float32", GRPC_PORT="0", DRAIN_S="5") as running, channel(running) as one:
        stub, failures, answered = stubs.GRPCInferenceServiceStub(one), [], []
        stopped = threading.Event()

        def ask() -> None:
            while not stopped.is_set():
                try:
                    answered.append(stub.ModelInfer(request_of(raw)))
                except grpc.RpcError as exc:
                    failures.append(exc)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.7)
        stopped.set()
        for thread in threads:
            thread.join()
        # A call that the client had not sent when it was asked to go, it may give back: the server never saw it.
        assert [one for one in failures if "Stream removed (GOAWAY received" not in one.details()] == []
        assert len(failures) <= len(threads)
        assert len(answered) > 100
        assert running.process.wait(timeout=10) == 0


def test_several_processes_share_the_port(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, raw: np.ndarray
) -> None:
    with start(models / "float32", GRPC_PORT="0", WORKERS="2", DRAIN_S="0.2") as running:
        right = over_http(running, raw)
        for _ in range(6):
            with channel(running) as one:
                answer = stubs.GRPCInferenceServiceStub(one).ModelInfer(request_of(raw)).outputs[0]
            np.testing.assert_array_equal(np.array(answer.contents.fp32_contents, np.float32).reshape(7, 10), right)
        with running.client() as client:
            counted = 'modelyard_requests_total{protocol="oip-grpc",operation="infer",code="200"} 6'
            assert counted in client.get("/metrics").text
        assert running.stop() == 0


def test_log_and_metrics_say_what_was_asked_and_how_it_ended(server: Any, stub: Any, raw: np.ndarray) -> None:
    refusal(stub.ModelReady, messages.ModelReadyRequest(name="no"))

    with server.client() as client:
        wait_until(lambda: 'protocol="oip-grpc",operation="ready",code="404"' in client.get("/metrics").text)
    said = {"path": f"/{SERVICE}/ModelReady", "status": 404, "client": "127.0.0.1"}
    wait_until(lambda: any(said.items() <= line.items() for line in server.logs))


def test_a_call_is_a_part_of_its_clients_trace(server: Any, stub: Any, raw: np.ndarray) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    parent = (("traceparent", f"00-{trace_id}-b7ad6b7169203331-00"),)

    _, call = stub.ModelInfer.with_call(request_of(raw), metadata=parent)
    failed = stub.ModelReady.future(messages.ModelReadyRequest(name="no"), metadata=parent)

    assert failed.exception().code() == StatusCode.NOT_FOUND
    # What fails at once has one block of headers, which counts as the last.
    said = (call.initial_metadata(), failed.trailing_metadata())
    spans = [dict(one)["traceparent"].split("-") for one in said]
    assert [one[1] for one in spans] == [trace_id] * 2
    wait_until(lambda: {one[2] for one in spans} <= {line.get("span_id") for line in server.logs})
    assert {line["trace_id"] for line in server.logs if line.get("span_id") in {one[2] for one in spans}} == {trace_id}


def test_a_call_is_a_span_by_the_names_of_calls(
    start: Callable[..., contextlib.AbstractContextManager[Running]],
    models: Path,
    raw: np.ndarray,
    collector: Collector,
    setting: Callable[..., Any],
) -> None:
    setting()
    with start(models / "float32", GRPC_PORT="0") as running, channel(running) as one:
        stub = stubs.GRPCInferenceServiceStub(one)
        sampled = (("traceparent", SAMPLED),)
        stub.ServerLive(messages.ServerLiveRequest(), metadata=sampled)
        stub.ModelInfer(request_of(raw), metadata=sampled)
        refusal(stub.ModelReady, messages.ModelReadyRequest(name="no"), metadata=sampled)
        wait_until(lambda: len(collector.spans) == 2)
    infer, ready = sorted(collector.spans, key=lambda span: span["name"])
    assert (infer["name"], infer["traceId"], infer["kind"]) == (f"{SERVICE}/ModelInfer", TRACE, 2)
    known = {"rpc.system": "grpc", "rpc.service": SERVICE, "client.address": "127.0.0.1"}
    assert values(infer["attributes"]) == known | {"rpc.method": "ModelInfer", "rpc.grpc.status_code": "0"}
    assert values(ready["attributes"]) == known | {"rpc.method": "ModelReady", "rpc.grpc.status_code": "5"}


# The start


def started_without(models: Any, tmp_path: Path, module: Any, **settings: Any) -> tuple[Any, Any]:
    """Return the exit code and the standard error of a server for which `module` is not installed."""
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{module!r}] = None\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "MODELYARD_MODEL_DIR": str(models / "float32")}
    environment |= {f"MODELYARD_{name}": value for name, value in settings.items()}
    done = subprocess.run([sys.executable, "-m", "modelyard.serving"], env=environment, capture_output=True, text=True)
    return done.returncode, done.stderr


def test_without_the_port_nothing_of_grpc_is_imported(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    script = (
        "import asyncio, sys, threading, os, signal\n"
        "threading.Timer(2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\n"
        "from modelyard.serving.__main__ import main\n"
        "code = main()\n"
        "print([name for name in sys.modules if 'hpack' in name or 'serving.grpc' in name], file=sys.stderr)\n"
    )
    with start(models / "float32", command=[sys.executable, "-c", script]) as running:
        running.process.wait(timeout=20)
        assert running.wait_for_log("stopped")
        assert "grpc_port" not in running.wait_for_log("listening")
        assert running.errors[-1] == "[]\n"


def test_a_package_that_is_not_there_is_said_in_one_line(models: Path, tmp_path: Path) -> None:
    code, error = started_without(models, tmp_path, "hpack", GRPC_PORT="0", PORT="0")

    assert (code, error.count("\n")) == (2, 1), error
    assert "MODELYARD_GRPC_PORT: gRPC needs the package 'hpack', which is not here" in error


def test_a_port_that_is_taken_names_its_setting(models: Path, tmp_path: Path, server: Any) -> None:
    code, error = started_without(
        models, tmp_path, "nothing", GRPC_PORT=str(server.grpc_port), PORT="0", HOST="127.0.0.1"
    )

    assert (code, error.count("\n")) == (2, 1), error
    assert "cannot listen: Address already in use; set MODELYARD_GRPC_PORT to another" in error
