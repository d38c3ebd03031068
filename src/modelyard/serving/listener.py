"""The socket that clients connect to, and how connections are taken from it."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from .errors import EXHAUSTED, StartError
from .logs import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from .certificate import Certificate
    from .gate import Gate
    from .mounted import Mounted
    from .settings import Settings

BACKLOG = 2048
AT_ONCE = 64
"""Connections that are taken before anything else is done."""
TLS_HANDSHAKE_S = 10.0
TLS_SHUTDOWN_S = 1.0
"""asyncio waits 30 s for an idle client's farewell, and so would every stop of the server."""
AGAIN_S = 0.1
OTHERS_S = 0.001
"""How long a process leaves a connection to those that have fewer."""


@dataclass(frozen=True)
class Listeners:
    """The sockets that clients connect to: for HTTP, and for gRPC if that is spoken."""

    http: socket.socket
    grpc: socket.socket | None

    @classmethod
    def of(cls, settings: Settings) -> Listeners:
        """Return sockets that are bound; clients are refused until the model is there.

        Raises:
            StartError: an address is not ours, another process listens there, or what gRPC needs is not installed.
        """
        if settings.grpc_port is None:
            return cls(listen(settings.host, settings.port), None)
        if find_spec("hpack") is None:
            msg = (
                "MODELYARD_GRPC_PORT: gRPC needs the package 'hpack', which is not here; "
                "an image has it if its runtime has a grpc_port; here, run: pip install 'modelyard[grpc]'"
            )
            raise StartError(msg)
        return cls(
            listen(settings.host, settings.port),
            listen(settings.host, settings.grpc_port, "MODELYARD_GRPC_PORT"),
        )

    def close(self) -> None:
        """Take no more connections."""
        for one in self.every():
            one.close()

    def every(self) -> list[socket.socket]:
        """Return those that there are."""
        return [self.http] if self.grpc is None else [self.http, self.grpc]


def listen(host: str, port: int, setting: str = "MODELYARD_PORT") -> socket.socket:
    """Return a socket that is bound to `host` and `port`; clients are refused until the model is there.

    Raises:
        StartError: the address is not ours, or another process listens there.
    """
    listener = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.setblocking(False)
    except OSError as exc:
        if listener is not None:
            listener.close()
        raise _cannot_listen(host, port, exc, setting) from exc
    return listener


def _cannot_listen(host: str, port: int, exc: OSError, setting: str) -> StartError:
    hint = setting if exc.errno in (errno.EADDRINUSE, errno.EACCES) else "MODELYARD_HOST"
    return StartError(f"{host}:{port}: cannot listen: {exc.strerror or exc}; set {hint} to another")


def begin(listener: socket.socket, setting: str = "MODELYARD_PORT") -> None:
    """Let clients connect.

    Raises:
        StartError: another process began to listen there after this one had bound its socket.
    """
    try:
        listener.listen(BACKLOG)
    except OSError as exc:
        host, port = listener.getsockname()[:2]
        raise _cannot_listen(host, port, exc, setting) from exc


class Acceptor:
    """Takes connections from a socket that listens, while it may, and waits a little where file descriptors have run out."""

    def __init__(
        self,
        listener: socket.socket,
        connect: Callable[[], asyncio.Protocol],
        gate: Gate,
        certificate: Mounted[Certificate | None],
        leave_to_others: Callable[[int], bool],
    ) -> None:
        self._listener, self._connect_to, self._gate, self._certificate = listener, connect, gate, certificate
        self._leave_to_others = leave_to_others
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._left = self._warned = self._closed = False
        self._resume()

    def close(self) -> None:
        """Take no more connections."""
        self._closed = True
        self._loop.remove_reader(self._listener)
        self._listener.close()

    def _resume(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._listener, self._accept)

    def _pause(self, time_s: float) -> None:
        self._loop.remove_reader(self._listener)
        self._loop.call_later(time_s, self._resume)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            if not self._left and self._leave_to_others(len(self._gate.open) + len(self._tasks)):
                self._left = True
                self._pause(OTHERS_S)
                return
            self._left = False
            try:
                peer = self._listener.accept()[0]
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as exc:
                self._exhausted(exc)
                return
            self._start(peer)

    def _exhausted(self, exc: OSError) -> None:
        if exc.errno not in EXHAUSTED:
            raise exc
        if not self._warned:
            self._warned = True
            log(logging.ERROR, "cannot accept", reason=exc.strerror, connections=len(self._gate.open))
        self._gate.evict()
        self._pause(AGAIN_S)

    def _start(self, peer: socket.socket) -> None:
        peer.setblocking(False)
        if len(self._gate.open) + len(self._tasks) >= self._gate.allowance.connections and self._tasks:
            next(iter(self._tasks)).cancel()  # of those that shake hands for TLS, the slowest
        task = self._loop.create_task(self._connect(peer))
        self._tasks[task] = None
        task.add_done_callback(lambda _: self._tasks.pop(task))

    async def _connect(self, peer: socket.socket) -> None:
        tls: dict[str, Any] = {}
        if certificate := self._certificate.value:
            limits = {"ssl_handshake_timeout": TLS_HANDSHAKE_S, "ssl_shutdown_timeout": TLS_SHUTDOWN_S}
            tls = {"ssl": certificate.context, **limits}
        try:
            await self._loop.connect_accepted_socket(self._connect_to, peer, **tls)
        except (OSError, TimeoutError, asyncio.CancelledError) as exc:
            peer.close()  # no TLS, or gone before it was there
            _forget(exc)


def _forget(exc: BaseException | None) -> None:
    """Let an error hold nothing: its frames hold the connection, with 256 KiB that TLS reads into, and the error itself."""
    while exc is not None:
        exc.__traceback__ = None
        exc = exc.__context__
