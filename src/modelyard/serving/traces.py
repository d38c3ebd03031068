"""Which trace a request belongs to: read from it, or begun here, and said in the log and in the answer.

Source: W3C Trace Context; samplers as OpenTelemetry's specification of its environment variables names them.
"""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .observe import GRPC_CODES, QUIET, ROUTES
from .trace import RANDOM, SAMPLED, Trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .messages import Request

_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_STATE_BYTES = 512
"""What is kept of a `tracestate`; one that is longer may be left out (W3C Trace Context, 3.3.1.5)."""
_RATIO_BITS = 64
"""The last bits of a trace's number decide whether a ratio takes it, so that every service decides alike."""


@dataclass(slots=True)
class Span:
    """What a request was, and how long it took.

    Attributes:
        trace: its place in a trace.
        name: one of a few, whatever a client sends.
        end_ns: when it was answered, in nanoseconds since the epoch.
        duration_s: from its head to its answer, in seconds.
        failed: why, in a word, if that was our fault; else empty.
        attributes: text and whole numbers by their conventional names.
    """

    trace: Trace
    name: str
    end_ns: int
    duration_s: float
    failed: str
    attributes: Mapping[str, str | int]


class Sender(Protocol):
    """What takes spans."""

    def add(self, span: Span) -> None:
        """Take a span, without a wait."""

    def close(self, wait_s: float) -> None:
        """Send what was taken, in no more than `wait_s` seconds."""


@dataclass(frozen=True)
class Sampler:
    """Says which traces are sent.

    Attributes:
        ratio: the part of the traces that begin here (of all, without `parent_based`), 0 to 1.
        parent_based: whether the client's own decision stands where there is one.
    """

    ratio: float = 0.0
    parent_based: bool = True

    def samples(self, trace_id: str, parent_flags: int | None) -> bool:
        """Return whether to send the trace; `parent_flags` are the client's, None if it begins here."""
        if self.parent_based and parent_flags is not None:
            return bool(parent_flags & SAMPLED)
        return self.ratio > 0 and int(trace_id[-_RATIO_BITS // 4 :], 16) < self.ratio * (1 << _RATIO_BITS)


class Tracer:
    """Gives each request its place in a trace, and hands on the spans of those that are sampled."""

    def __init__(self, sampler: Sampler, sender: Sender | None = None, *, scheme: str = "http") -> None:
        self._sampler, self._sender, self._scheme = sampler, sender, scheme
        self._bits = random.Random().getrandbits  # seeded by the system, in each worker anew

    def begin(self, request: Request) -> Trace:
        """Return the place of `request`: in its client's trace if it names one well, else in a new one."""
        name = b"traceparent" if b"traceparent" in request.headers else b"ce-traceparent"  # an event has its own
        header = request.headers.get(name)
        if header is None or name in request.repeated or (parent := read_parent(header)) is None:
            digits = self._bits(192).to_bytes(24, "big").hex()  # formatting the number takes six times as long
            return Trace(digits[:32], digits[32:], "", int(self._sampler.samples(digits[:32], None)))
        trace_id, parent_id, flags = parent
        sampled = self._sampler.samples(trace_id, flags)
        return Trace(
            trace_id, self._bits(64).to_bytes(8, "big").hex(), parent_id, flags & RANDOM | sampled, _state(request)
        )

    def ended(self, request: Request, labels: tuple[str, str], status: int, duration_s: float, peer: str) -> None:
        """Take note of an answer; of one to a probe, there is no span."""
        trace = request.trace
        if self._sender is None or trace is None or not trace.sampled or labels[0] in QUIET:
            return
        failed = str(status) if status >= 500 else ""
        attributes: dict[str, str | int] = {"client.address": peer}
        if labels[0].endswith("-grpc"):
            name = request.path[1:]
            attributes |= _of_call(request, status)
        else:
            name = f"{request.method} {ROUTES.get(labels, '')}".rstrip()
            attributes |= {"url.scheme": self._scheme, **_of_request(request, labels, status)}
        if failed:
            attributes["error.type"] = failed
        self._sender.add(Span(trace, name, time.time_ns(), duration_s, failed, attributes))

    def close(self, wait_s: float) -> None:
        """Send what is left, in no more than `wait_s` seconds."""
        if self._sender is not None:
            self._sender.close(wait_s)


def _of_request(request: Request, labels: tuple[str, str], status: int) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        "http.request.method": request.method,
        "url.path": request.path[:256].encode("utf-8", "replace").decode(),
        "http.response.status_code": status,
    }
    if route := ROUTES.get(labels):
        attributes["http.route"] = route
    return attributes


def _of_call(request: Request, status: int) -> dict[str, str | int]:
    service, _, method = request.path[1:].partition("/")
    return {
        "rpc.system": "grpc",
        "rpc.service": service,
        "rpc.method": method,
        "rpc.grpc.status_code": GRPC_CODES[status],
    }


def read_parent(header: bytes) -> tuple[str, str, int] | None:
    """Return the trace's and the parent's number and the flags of a `traceparent`; None: it is none."""
    match = _PARENT.fullmatch(header.strip(b" \t"))
    if match is None:
        return None
    version, trace_id, parent_id, flags, more = match.groups()
    if version == b"ff" or (version == b"00" and more) or not trace_id.strip(b"0") or not parent_id.strip(b"0"):
        return None
    return trace_id.decode(), parent_id.decode(), int(flags, 16)


def _state(request: Request) -> str:
    state = request.headers.get(b"tracestate", b"")
    if b"tracestate" in request.repeated or len(state) > _STATE_BYTES or not state.isascii():
        return ""
    return state.decode()
