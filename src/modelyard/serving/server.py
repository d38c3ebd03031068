"""Listens, serves, and stops without dropping a request."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import ssl
from typing import TYPE_CHECKING, Any

import numpy as np
import uvicorn

from .app import Readiness, build_app
from .backends import open_model
from .engine import Engine
from .errors import InputError, StartError
from .logs import log
from .metrics import Metrics
from .model import Facts
from .served import Served
from .settings import NAME, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEEP_ALIVE_S = 75
TLS_HANDSHAKE_S = 10.0
TLS_SHUTDOWN_S = 1.0


def serve(settings: Settings) -> None:
    """Serve until a signal says stop, then drain.

    Raises:
        StartError: the model, the certificate or the port is not there to be used.
    """
    facts = Facts.read(settings.model_dir)
    model = Served(_name(settings, facts), settings.model_version, facts, settings.max_batch)
    metrics = Metrics(model)
    tls = _tls(settings.tls_cert_file, settings.tls_key_file)
    listener = listen(settings.host, settings.port)
    engine = _engine(settings, facts, metrics)
    readiness = Readiness(metrics)
    config = uvicorn.Config(
        build_app(settings, model, engine, metrics, readiness),
        http="h11",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(settings.grace_s)),
        ssl_context_factory=(lambda _config, _default: tls) if tls else None,
    )
    try:
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(Server(config, settings, model, readiness).serve(sockets=[listener]))
    finally:
        engine.close()
        log(logging.INFO, "stopped")


class Loop(asyncio.SelectorEventLoop):
    """An event loop that gives TLS clients little time.

    asyncio waits 30 s for an idle client's farewell, and by default so would every stop of the server.
    """

    async def create_server(self, *args: Any, **options: Any) -> asyncio.Server:
        """Listen, as asyncio's own loop does.

        Raises:
            StartError: another process began to listen there after this one had bound its socket.
        """
        if options.get("ssl") is not None:
            options |= {"ssl_handshake_timeout": TLS_HANDSHAKE_S, "ssl_shutdown_timeout": TLS_SHUTDOWN_S}
        try:
            return await super().create_server(*args, **options)
        except OSError as exc:
            host, port = options["sock"].getsockname()[:2]
            raise _cannot_listen(host, port, exc) from exc


class Server(uvicorn.Server):
    """uvicorn's server, with a stop that first turns readiness off and goes on serving for a while.

    SIGTERM drains; a second one, or Ctrl-C, skips the wait; one more drops what is in flight.
    """

    def __init__(self, config: uvicorn.Config, settings: Settings, model: Served, readiness: Readiness) -> None:
        super().__init__(config)
        self._settings = settings
        self._model = model
        self._readiness = readiness

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self._readiness.set(ready=True)
        host, port = (sockets or [])[0].getsockname()[:2]
        log(
            logging.INFO,
            "listening",
            host=host,
            port=port,
            tls=self.config.is_ssl,
            password=self._settings.username is not None,
            model=self._model.name,
            version=self._model.version,
            **self._model.identity,
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT; uvicorn would raise them again at the end and so not exit with 0."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop, number)
        yield

    def stop(self, number: signal.Signals) -> None:
        """Begin to stop, or hurry if that has begun."""
        wait_s = self._settings.drain_s if number == signal.SIGTERM and self._readiness() else 0.0
        if self.should_exit:
            self.force_exit = True
        self._readiness.set(ready=False)
        log(logging.INFO, "draining", signal=number.name, wait_s=wait_s)
        if wait_s:
            asyncio.get_running_loop().call_later(wait_s, setattr, self, "should_exit", True)
        else:
            self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to `host` and `port`.

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
    except OSError as exc:
        if listener is not None:
            listener.close()
        raise _cannot_listen(host, port, exc) from exc
    return listener


def _cannot_listen(host: str, port: int, exc: OSError) -> StartError:
    hint = "MODELYARD_PORT" if exc.errno in (errno.EADDRINUSE, errno.EACCES) else "MODELYARD_HOST"
    return StartError(f"{host}:{port}: cannot listen: {exc.strerror or exc}; set {hint} to another")


def _engine(settings: Settings, facts: Facts, metrics: Metrics) -> Engine:
    """Open the model once a worker, and let each predict once: the first prediction is the slow one."""
    predictors = [open_model(settings.backend, settings.model_dir, settings.threads) for _ in range(settings.workers)]
    low = facts.value_range[0] if facts.value_range else 0
    sample = np.full((1, *facts.input_shape), low, facts.input_dtype)
    for predictor in predictors:
        try:
            answer = np.asarray(predictor.predict(sample))
        except (InputError, RuntimeError, ValueError) as exc:
            msg = f"{facts.file}: the model does not take a sample of zeros: {exc}"
            raise StartError(msg) from exc
        if answer.shape != (1, len(facts.class_names)):
            msg = f"{facts.file}: answers shape {answer.shape}; model.json names {len(facts.class_names)} classes"
            raise StartError(msg)
    return Engine(predictors, metrics, settings.max_queue)


def _name(settings: Settings, facts: Facts) -> str:
    """Return the model's name in the URLs: the setting, or what `model.json` says, or `model`."""
    name = settings.model_name or facts.label("name") or "model"
    if not NAME.fullmatch(name):
        msg = f"model.json: name {name!r}; allowed: letters, digits, '.', '_', '-'; or set MODELYARD_MODEL_NAME"
        raise StartError(msg)
    return name


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Return a context for TLS 1.2 and later, or None for plain HTTP."""
    if certificate is None or key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # Without a password here, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ssl.SSLError) as exc:
        unreadable = next((str(path) for path in (certificate, key) if not os.access(path, os.R_OK)), None)
        unfit = f"{certificate} and {key} are no pair in PEM without a pass phrase"
        reason = f"{unreadable} cannot be read" if unreadable else unfit
        msg = f"MODELYARD_TLS_CERT_FILE, MODELYARD_TLS_KEY_FILE: {reason}"
        raise StartError(msg) from exc
    return context
