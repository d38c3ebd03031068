"""The health service that load balancers and Kubernetes' probes for gRPC ask.

Source: grpc/doc/health-checking.md.
"""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

from typing import TYPE_CHECKING

from ..body import decode
from ..errors import RequestError
from ..limits import Limits
from ..messages import Response
from . import wire

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Iterable

    from ..messages import Request
    from .connection import Connection
    from .stream import Stream

_SERVING, _NOT_SERVING, _SERVICE_UNKNOWN = 1, 2, 3
_LIMITS = Limits(64 * 1024)
"""A request holds no more than a name, and strangers may send it."""


class Health:
    """Says whether new traffic is taken: of the whole server by the empty name, and alike of each service."""

    NAME = "grpc.health.v1.Health"
    WATCH = f"/{NAME}/Watch"
    EVERY_S = 0.25

    def __init__(self, names: Iterable[str], is_ready: Callable[[], bool], loop: AbstractEventLoop) -> None:
        """Know the services and the model by their `names`."""
        self._names = {"", self.NAME, *names}
        self._is_ready, self._loop = is_ready, loop
        self._watched: dict[Stream, tuple[Connection, str, bytes]] = {}
        self._look()

    def answer(self, method: str, request: Request) -> Response:
        """Return the answer to a call.

        Raises:
            RequestError: it cannot be answered.
        """
        if method != "Check":
            raise RequestError(405, f"unknown method {method!r}; served: Check, Watch")
        name = _name(request)
        if name not in self._names:
            raise RequestError(404, f"unknown service {name!r}; known: {', '.join(sorted(self._names - {''}))}")
        return Response(200, self._status(name))

    def watch(self, request: Request, stream: Stream, connection: Connection) -> Callable[[], None]:
        """Say how it is now, and each time that it changes; return what ends that."""
        name = _name(request)
        self._watched[stream] = (connection, name, b"")
        self._tell(stream)
        return lambda: self._forget(stream)

    def _forget(self, stream: Stream) -> None:
        self._watched.pop(stream, None)

    def _look(self) -> None:
        """Tell those that watch of a change, now and every `EVERY_S` seconds."""
        for stream in list(self._watched):
            self._tell(stream)
        self._loop.call_later(self.EVERY_S, self._look)

    def _tell(self, stream: Stream) -> None:
        connection, name, said = self._watched[stream]
        status = self._status(name)
        if status != said:
            self._watched[stream] = (connection, name, status)
            connection.send(stream, status)

    def _status(self, name: str) -> bytes:
        if name not in self._names:
            return wire.whole(1, _SERVICE_UNKNOWN)
        return wire.whole(1, _SERVING if self._is_ready() else _NOT_SERVING)


def _name(request: Request) -> str:
    """Return which service a request asks for."""
    return wire.Message(decode(request, _LIMITS)).text(1)
