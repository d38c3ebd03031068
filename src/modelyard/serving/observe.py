"""Counts, times and logs each request, and tells clients to leave while the server drains."""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

from .logs import log, logger
from .responses import error_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .metrics import Metrics

OPERATIONS = (
    (re.compile(r"/v1/.*:(predict|classify|regress)", re.IGNORECASE), "tfserving"),
    (re.compile(r"/v1/.*/(metadata)", re.IGNORECASE), "tfserving"),
    (re.compile(r"/v1/.*", re.IGNORECASE), "tfserving"),
    (re.compile(r"/v2/health/(live|ready)"), "health"),
    (re.compile(r"/v2/models/.*/(infer|ready)"), "oip"),
    (re.compile(r"/v2(?:/.*)?"), "oip"),
    (re.compile(r"/(metrics)"), "metrics"),
)
QUIET = ("health", "metrics")
FAILED = "internal error; the server's log has the reason"


def operation(path: str) -> tuple[str, str]:
    """Return the protocol and the operation of `path`: few values, whatever a client sends."""
    for pattern, protocol in OPERATIONS:
        if match := pattern.fullmatch(path):
            return protocol, match[1].lower() if match.re.groups else "describe"
    return "other", "other"


class Observe:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp, metrics: Metrics, is_ready: Callable[[], bool]) -> None:
        self._app = app
        self._metrics = metrics
        self._is_ready = is_ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note what came of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, start = 0, time.perf_counter()

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if not self._is_ready():
                    MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        self._metrics.started()
        try:
            await self._app(scope, receive, observed)
        except Exception as exc:
            logger.error("failed", exc_info=exc)
            if status:  # too late for another answer
                raise
            await error_response(500, FAILED)(scope, receive, observed)
        finally:
            self._note(scope, status or 500, time.perf_counter() - start)

    def _note(self, scope: Scope, status: int, duration_s: float) -> None:
        protocol, name = operation(scope["path"])
        self._metrics.finished(protocol, name, status, duration_s)
        level = logging.DEBUG if protocol in QUIET and status < 500 else logging.INFO
        log(
            level,
            "request",
            method=scope["method"],
            path=scope["path"][:256],
            status=status,
            duration_ms=round(duration_s * 1000, 3),
            client=(scope.get("client") or ("",))[0],
        )
