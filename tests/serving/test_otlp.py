"""Spans, as a collector gets them over HTTP."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.serving.conftest import Running
from tests.serving.servers import wait_until
from tests.serving.test_metrics import labels, scrape

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"
PREDICT = "/v1/models/digits:predict"


@dataclass
class Collector:
    """Stands in for a collector: it keeps what it is sent, and answers as it is told, after `wait_s` seconds."""

    status: int = 200
    answer: bytes = b"{}"
    wait_s: float = 0.0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for body in self.bodies
            for resource in body["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]


def listening(collector: Any, tls: Any = None) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(collector.wait_s)
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            collector.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            collector.bodies.append(json.loads(body))
            self.send_response(collector.status)
            self.send_header("Content-Length", str(len(collector.answer)))
            self.end_headers()
            self.wfile.write(collector.answer)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    collector.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    return server


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    server = listening(collector)
    yield collector
    server.shutdown()
    server.server_close()


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch, collector: Collector) -> Callable[..., Any]:
    """Sets OpenTelemetry's variables; spans go to the collector within 50 ms."""

    def set_all(**settings: Any) -> None:
        known = {"EXPORTER_OTLP_ENDPOINT": collector.url, "BSP_SCHEDULE_DELAY": "50"}
        for name, value in (known | settings).items():
            monkeypatch.setenv(f"OTEL_{name}", value)

    return set_all


def values(attributes: Any) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values())) for one in attributes}


def sent(client: Any) -> list[int]:
    seen = scrape(client)
    return [int(seen["modelyard_spans_total", labels(result=result)]) for result in ("sent", "failed", "dropped")]


def test_a_request_is_a_span_of_its_clients_trace(
    start: Callable[..., contextlib.AbstractContextManager[Running]],
    models: Path,
    collector: Collector,
    setting: Callable[..., Any],
) -> None:
    setting(EXPORTER_OTLP_HEADERS="x-key=hunter2", RESOURCE_ATTRIBUTES="deployment.environment.name=test")
    before_ns = time.time_ns()
    with start(models / "float32") as server, server.client() as client:
        headers = {"traceparent": SAMPLED, "tracestate": "a=1"}
        answer = client.post(PREDICT, json={"instances": [[[[0]] * 8] * 8]}, headers=headers)
        wait_until(lambda: collector.spans)
        wait_until(lambda: sent(client) == [1, 0, 0])  # counted a moment after the collector has it
        assert "hunter2" not in json.dumps(server.logs)

    (span,), (body,), ((path, asked),) = collector.spans, collector.bodies, collector.asked
    assert (path, asked["content-type"], asked["x-key"]) == ("/v1/traces", "application/json", "hunter2")
    resource = values(body["resourceSpans"][0]["resource"]["attributes"])
    assert resource == {"service.name": "digits", "service.version": "1", "deployment.environment.name": "test"}
    assert (span["traceId"], span["parentSpanId"], span["traceState"]) == (TRACE, PARENT, "a=1")
    assert answer.headers["traceparent"] == f"00-{TRACE}-{span['spanId']}-01"
    assert (span["name"], span["kind"], span["status"]) == ("POST /v1/models/NAME[/versions/N]:predict", 2, {})
    assert values(span["attributes"]) == {
        "http.request.method": "POST",
        "url.path": PREDICT,
        "url.scheme": "http",
        "http.response.status_code": str(answer.status_code),
        "client.address": "127.0.0.1",
        "http.route": "/v1/models/NAME[/versions/N]:predict",
    }
    assert before_ns < int(span["startTimeUnixNano"]) < int(span["endTimeUnixNano"]) < time.time_ns()


def test_probes_scrapes_and_traces_that_are_not_sampled_have_no_span(
    start: Callable[..., contextlib.AbstractContextManager[Running]],
    models: Path,
    collector: Collector,
    setting: Callable[..., Any],
) -> None:
    setting(EXPORTER_OTLP_COMPRESSION="gzip", SERVICE_NAME="other")
    with start(models / "float32") as server, server.client() as client:
        for path in ("/v2/health/live", "/v2/health/ready", "/metrics"):
            client.get(path, headers={"traceparent": SAMPLED})
        client.get("/v2", headers={"traceparent": UNSAMPLED})
        client.get("/nowhere")
        wait_until(lambda: collector.spans)

    (span,) = collector.spans
    assert (span["name"], "parentSpanId" in span) == ("GET", False), "a path that a stranger makes up is in no name"
    assert collector.asked[0][1]["content-encoding"] == "gzip"
    assert values(collector.bodies[0]["resourceSpans"][0]["resource"]["attributes"])["service.name"] == "other"


def test_what_is_left_is_sent_when_the_server_stops(
    start: Callable[..., contextlib.AbstractContextManager[Running]],
    models: Path,
    collector: Collector,
    setting: Callable[..., Any],
) -> None:
    setting(BSP_SCHEDULE_DELAY="60000", BSP_MAX_EXPORT_BATCH_SIZE="4")
    with start(models / "float32", WORKERS="2") as server, server.client() as client:
        for _ in range(11):
            client.get("/v2")
        assert server.stop() == 0

    assert len({span["spanId"] for span in collector.spans}) == 11
    assert max(len(body["resourceSpans"][0]["scopeSpans"][0]["spans"]) for body in collector.bodies) == 4


def test_a_collector_that_fails_is_said_once_and_its_spans_are_dropped(
    start: Callable[..., contextlib.AbstractContextManager[Running]],
    models: Path,
    collector: Collector,
    setting: Callable[..., Any],
) -> None:
    setting()
    collector.status = 503
    with start(models / "float32") as server, server.client() as client:
        client.get("/v2")
        assert server.wait_for_log("spans not sent")["reason"] == "the collector answered 503"
        client.get("/v2")
        wait_until(lambda: sent(client) == [0, 2, 0])

        collector.status = 200
        client.get("/v2")
        server.wait_for_log("spans sent again")
        collector.answer = b'{"partialSuccess":{"rejectedSpans":"1","errorMessage":"no room"}}'
        client.get("/v2")
        wait_until(lambda: sent(client) == [1, 3, 0])

    assert [line["event"] for line in server.logs].count("spans not sent") == 2


def test_a_collector_that_is_not_there_or_hangs_holds_up_no_request(
    start: Callable[..., contextlib.AbstractContextManager[Running]],
    models: Path,
    collector: Collector,
    setting: Callable[..., Any],
) -> None:
    collector.wait_s = 3
    setting(BSP_MAX_QUEUE_SIZE="5", BSP_MAX_EXPORT_BATCH_SIZE="2", EXPORTER_OTLP_TIMEOUT="60000")
    with start(models / "float32") as server, server.client() as client:
        begin = time.monotonic()
        for _ in range(50):
            assert client.get("/v2").status_code == 200
        assert time.monotonic() - begin < 2.5
        assert sent(client)[2] >= 40
        server.process.terminate()
        assert server.process.wait(timeout=10) == 0

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        setting(EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{unused.getsockname()[1]}")
        with start(models / "float32") as server, server.client() as client:
            assert client.get("/v2").status_code == 200
            assert "refused" in server.wait_for_log("spans not sent")["reason"]


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"\xff", b'{"partialSuccess":{"rejectedSpans":"many"}}', b"x" * 100_000]
)
def test_any_answer_of_a_collector_will_do(
    start: Callable[..., contextlib.AbstractContextManager[Running]],
    models: Path,
    collector: Collector,
    setting: Callable[..., Any],
    answer: bytes,
) -> None:
    collector.answer = answer
    setting()
    with start(models / "float32") as server, server.client() as client:
        client.get("/v2")
        wait_until(lambda: sent(client) == [1, 0, 0])


def test_a_collectors_certificate_is_checked(
    start: Callable[..., contextlib.AbstractContextManager[Running]],
    models: Path,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate / "tls.crt", certificate / "tls.key")
    collector = Collector()
    server_of_spans = listening(collector, tls)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    with start(models / "float32") as server, server.client() as client:
        client.get("/v2")
        assert "CERTIFICATE_VERIFY_FAILED" in server.wait_for_log("spans not sent")["reason"]
    assert collector.spans == []

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(certificate / "tls.crt"))
    with start(models / "float32") as server, server.client() as client:
        client.get("/v2")
        wait_until(lambda: collector.spans)
    server_of_spans.shutdown()
    server_of_spans.server_close()


def test_a_setting_that_is_not_understood_is_said_in_one_line_and_the_server_serves(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, setting: Callable[..., Any]
) -> None:
    setting(TRACES_SAMPLER="sometimes")
    with start(models / "float32", WORKERS="2") as server, server.client() as client:
        assert client.get("/v2").headers["traceparent"].endswith("-00")
        said = [line for line in server.logs if line["event"] == "no spans are sent"]

    assert [line["level"] for line in said] == ["warning"]
    assert said[0]["reason"].startswith("OTEL_TRACES_SAMPLER: 'sometimes'; allowed: always_on")
