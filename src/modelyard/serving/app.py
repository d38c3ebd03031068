"""What is behind the connections: routes, the password, and a note of each request."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING

from .answers import failure
from .auth import EVENTS, Guesses
from .errors import RequestError
from .logs import logger, requests
from .messages import Response, error_response, json_response
from .metrics import CONTENT_TYPE
from .observe import MALFORMED, QUIET, operation
from .oip.http import OpenInference
from .tfserving.http import TFServing

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from .auth import BasicAuth
    from .connection import Connection
    from .engine import Work
    from .events.sink import Sink
    from .messages import Request
    from .metrics import Metrics
    from .mounted import Mounted
    from .repository import Open, Repository
    from .service import Peer
    from .traces import Tracer

INDEX = "/v2/repository/index"
"""What lists the models, by the protocol's repository extension."""


class App:
    """Answers requests, as `connection.HttpService` says.

    Attributes:
        max_body_bytes: the size of a body as sent.
    """

    def __init__(
        self,
        auth: Mounted[BasicAuth],
        repository: Repository,
        metrics: Metrics,
        tracer: Tracer,
        is_ready: Callable[[], bool],
        loop: AbstractEventLoop,
        events_source: str | None = None,
    ) -> None:
        self._repository, self._events_source = repository, events_source
        self.max_body_bytes = max(one.limits.body for one in repository.models)
        self._metrics, self._is_ready, self._loop = metrics, is_ready, loop
        self._tracer = tracer
        self._auth, self._guesses = auth, Guesses()
        self._v1 = {one: TFServing(one.model, one.limits) for one in repository.models}
        self._v2 = {one: OpenInference(one.model, one.limits, is_ready) for one in repository.models}
        self._labels: dict[str, tuple[str, str]] = {}
        self._logs_info = logger.isEnabledFor(logging.INFO)
        self._logs_debug = logger.isEnabledFor(logging.DEBUG)

    def began(self, request: Request) -> None:
        """Take note of a request, and give it its place in a trace."""
        self._metrics.started()
        request.trace = self._tracer.begin(request)

    def hold_s(self, request: Request, connection: Peer) -> float:
        """Return how long the request waits before its password is looked at, in seconds."""
        if connection.trusted or not self._auth.value.asks(request):
            return 0.0
        return self._guesses.wait_s(connection.peer, self._loop.time())

    def admit(self, request: Request, connection: Peer) -> Response | None:
        """Return the answer to a request that is not to be read: no password, too large, or an unknown wish."""
        if (refused := self.check_password(request, connection)) is not None:
            return refused
        if request.headers.get(b"expect", b"100-continue").lower() != b"100-continue":
            return error_response(417, "the only expectation that is met is 100-continue")
        length = request.headers.get(b"content-length")
        if length is not None and int(length) > self.max_body_bytes:
            return error_response(413, f"the request's body is larger than {self.max_body_bytes} bytes")
        return None

    def check_password(self, request: Request, connection: Peer) -> Response | None:
        """Return the refusal of a request that needs the password and does not bring it, or None."""
        if self._auth.value.asks(request):
            if (refused := self._auth.value.refusal(request)) is not None:
                if refused.status == 401:
                    self._guesses.note(connection.peer, self._loop.time())
                return refused
            # a token is no password: whoever has it may not guess that faster than others
            connection.trusted = connection.trusted or not self._auth.value.asks_for_token(request)
        return None

    def answer(self, request: Request, connection: Connection) -> Callable[[], None] | None:
        """Answer by `connection.respond`, now or later; if later, return what takes the request back."""
        try:
            if request.path == EVENTS:
                return self._sink.answer(request, connection.respond)
            one, answer = self._route(request)
        except Exception as exc:
            connection.respond(failure(exc))
            return None
        if isinstance(answer, Response):
            connection.respond(answer)
            return None
        return one.engine.submit(answer, connection.respond)

    @cached_property
    def _sink(self) -> Sink:
        """What takes events; it is imported with the first."""
        from .events.sink import Sink

        if not self._repository.is_one:
            raise RequestError(404, f"Not Found: {EVENTS}: of several models, none is the one that answers events")
        one = self._repository.first
        return Sink(one.model, self._events_source, one.limits, one.engine, self._metrics, self._loop)

    def closing(self) -> bool:
        """Return whether clients are asked to leave."""
        return not self._is_ready()

    def answered(self, request: Request | None, status: int, duration_s: float, peer: str) -> None:
        """Count and log an answer; None: to what is no request."""
        labels = MALFORMED if request is None else self._label(request.path)
        self._metrics.finished(labels, status, duration_s, began=request is not None)
        if request is not None:
            self._tracer.ended(request, labels, status, duration_s, peer)
        debug = labels[0] in QUIET and status < 500
        if self._logs_debug if debug else self._logs_info:
            fields: dict[str, object] = {
                "method": "" if request is None else request.method,
                "path": "" if request is None else request.path[:256].encode("utf-8", "replace").decode(),
                "status": status,
                "duration_ms": int(duration_s * 1e6) / 1000,
                "client": peer,
            }
            if request is not None and request.trace is not None:
                fields["trace_id"], fields["span_id"] = request.trace.trace_id, request.trace.span_id
            requests.add(self._loop, "debug" if debug else "info", fields)

    def _route(self, request: Request) -> tuple[Open, Response | Work[Response]]:
        path, one = request.path, self._repository.asked(request.path)
        if len(request.body) > one.limits.body:
            raise RequestError(413, f"the request's body is larger than {one.limits.body} bytes")
        if path[:4].lower() == "/v1/":
            return one, self._v1[one].answer(request)
        if path == "/metrics":
            if request.method not in ("GET", "HEAD"):
                raise RequestError(405, f"Method Not Allowed: {request.method} {path}")
            return one, Response(200, self._metrics.exposition(), CONTENT_TYPE)
        if path == INDEX:
            if request.method != "POST":
                raise RequestError(405, f"Method Not Allowed: {request.method} {path}")
            return one, json_response(self._repository.index())
        return one, self._v2[one].answer(request)

    def _label(self, path: str) -> tuple[str, str]:
        labels = self._labels.get(path)
        if labels is None:
            labels = operation(path)
            if len(self._labels) < 256:  # the paths that are asked for, not those that a stranger makes up
                self._labels[path] = labels
        return labels
