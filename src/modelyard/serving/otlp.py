"""Sends spans to a collector, from a thread of its own: a request never waits for it, and what cannot be sent is dropped.

Source: OTLP 1.x over HTTP, JSON; OpenTelemetry's semantic conventions for HTTP servers.
"""

from __future__ import annotations

import gzip
import http.client
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from .logs import log

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterable, Mapping

    from .metrics import Metrics
    from .otel import Otel
    from .traces import Span

SCOPE = "modelyard.serving"
"""What made the spans."""
ANSWER_BYTES = 64 * 1024
"""What is read of a collector's answer."""
_SERVER, _ERROR = 2, 2
"""A span's kind, and the status of one that failed."""


class Sender:
    """Takes spans, and sends those that have come every `delay_s` seconds, or once there are enough."""

    def __init__(self, otel: Otel, resource: Mapping[str, str], metrics: Metrics, loop: AbstractEventLoop) -> None:
        self._otel, self._resource, self._metrics, self._loop = otel, _attributes(resource), metrics, loop
        self._waiting: deque[Span] = deque()
        self._awake, self._closed, self._failing = threading.Event(), False, False
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    # On the event loop.

    def add(self, span: Span) -> None:
        """Send `span` soon, or drop it if too many wait."""
        if len(self._waiting) >= self._otel.queue:
            self._metrics.spans("dropped", 1)
            return
        self._waiting.append(span)
        if len(self._waiting) == self._otel.batch:
            self._awake.set()

    def close(self, wait_s: float) -> None:
        """Send what is left, and wait for that for no longer than `wait_s` seconds."""
        self._closed = True
        self._awake.set()
        self._thread.join(wait_s)

    # In the thread.

    def _run(self) -> None:
        closed = False
        while not closed:
            due = not self._awake.wait(self._otel.delay_s)
            self._awake.clear()
            closed = self._closed
            while len(self._waiting) >= self._otel.batch or (closed and self._waiting):
                self._send_batch()
            if due and self._waiting:
                self._send_batch()

    def _send_batch(self) -> None:
        spans = [self._waiting.popleft() for _ in range(min(self._otel.batch, len(self._waiting)))]
        try:
            refused = min(len(spans), self._post(self._body(spans)))
        except (OSError, http.client.HTTPException, ValueError) as exc:
            self._metrics.spans("failed", len(spans))
            self._say(str(exc) or type(exc).__name__)
            return
        self._metrics.spans("sent", len(spans) - refused)
        self._metrics.spans("failed", refused)
        self._say(f"the collector refused {refused} of {len(spans)} spans" if refused else "")

    def _body(self, spans: Iterable[Span]) -> bytes:
        scope = {"scope": {"name": SCOPE}, "spans": [_json(span) for span in spans]}
        return orjson.dumps({"resourceSpans": [{"resource": {"attributes": self._resource}, "scopeSpans": [scope]}]})

    def _post(self, body: bytes) -> int:
        """Send a batch; return how many spans of it the collector refused."""
        headers = {"content-type": "application/json", **self._otel.headers}
        if self._otel.gzip:
            body, headers["content-encoding"] = gzip.compress(body, 1, mtime=0), "gzip"
        parts = urlsplit(self._otel.url)
        target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        connection = self._connect(parts.hostname or "", parts.port)
        try:
            connection.request("POST", target, body, headers)
            answer = connection.getresponse()
            text = answer.read(ANSWER_BYTES)
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            msg = f"the collector answered {answer.status}"
            raise ValueError(msg)
        return _refused(text)

    def _connect(self, host: str, port: int | None) -> http.client.HTTPConnection:
        if self._otel.tls is None:
            return http.client.HTTPConnection(host, port, timeout=self._otel.timeout_s)
        return http.client.HTTPSConnection(host, port, timeout=self._otel.timeout_s, context=self._otel.tls)

    def _say(self, reason: str) -> None:
        """Log that spans cannot be sent, and that they can again: not each of many failures."""
        if bool(reason) == self._failing:
            return
        self._failing = bool(reason)
        event, level = ("spans not sent", logging.WARNING) if reason else ("spans sent again", logging.INFO)
        fields = {"reason": reason} if reason else {}
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(lambda: log(level, event, **fields))


def _json(span: Span) -> dict[str, Any]:
    """Return a span as OTLP writes it in JSON: numbers of 64 bits are text, those of traces hexadecimal."""
    trace = span.trace
    written: dict[str, Any] = {
        "traceId": trace.trace_id,
        "spanId": trace.span_id,
        "name": span.name,
        "kind": _SERVER,
        "startTimeUnixNano": str(span.end_ns - int(span.duration_s * 1e9)),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": _attributes(span.attributes),
        "status": {"code": _ERROR, "message": span.failed} if span.failed else {},
    }
    if trace.parent_id:
        written["parentSpanId"] = trace.parent_id
    if trace.state:
        written["traceState"] = trace.state
    return written


def _attributes(values: Mapping[str, str | int]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"stringValue": value} if isinstance(value, str) else {"intValue": str(value)}}
        for key, value in values.items()
    ]


def _refused(answer: bytes) -> int:
    """Return what a collector that took the batch says of spans that it did not take."""
    try:
        return max(0, int(orjson.loads(answer)["partialSuccess"]["rejectedSpans"]))
    except (ValueError, KeyError, TypeError):
        return 0  # it says nothing of them, or answers in another form
