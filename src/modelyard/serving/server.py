"""One worker: it opens the model, serves, and stops without dropping a request."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import resource
import signal
import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from .app import App
from .backends import BUILT_IN, open_model
from .connection import Connection
from .engine import Engine, Pace
from .errors import InputError, StartError
from .gate import Allowance, Gate
from .limits import UNLIMITED_BYTES, Limits, memory_limit, resident_bytes
from .listener import Acceptor, begin
from .logs import log, requests
from .metrics import Metrics
from .model import Facts
from .served import Served
from .settings import NAME, Settings
from .shares import HOLDING, LEAST_BYTES, PARSING
from .traces import Sampler, Tracer

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .events.consumer import Consumer
    from .listener import Listeners
    from .metrics import Board
    from .model import Predictor
    from .mounted import Secrets
    from .otel import Otel

TOGETHER = 64
"""Samples of several requests that are predicted together, at most."""
SPANS_S = 2.0
"""How long the last spans may take to be sent once nothing is in flight."""
SPARE_FILES = 64
"""File descriptors that are not connections."""
_TIMED = 5
_MANY, _PAYS = 16, 0.8
"""So many samples at once must take less than this part of as many alone."""


def serve(
    settings: Settings,
    secrets: Secrets,
    otel: Otel | None,
    listeners: Listeners,
    board: Board,
    worker: int = 0,
) -> None:
    """Serve until a signal says stop, then drain.

    Raises:
        StartError: the model is not there to be used.
    """
    facts = Facts.read(settings.model_dir)
    model = Served(_name(settings, facts), settings.model_version, facts, settings.max_batch)
    predictor = open_model(settings.backend, settings.model_dir, settings.threads)
    sample = warm_up(predictor, facts)
    # Another's predictor may take its time now and then, and nothing else would be answered meanwhile.
    sample_s = median_s(predictor, sample) if settings.backend in BUILT_IN else None
    together = TOGETHER if batches(settings.batching, predictor, sample, sample_s) else 1
    metrics = Metrics(board, worker, {"name": model.name, "version": model.version, **model.identity})
    gc.collect()
    gc.freeze()  # what is here stays; what a request makes goes without it, and its lists are many
    gc.set_threshold(50_000, 20, 20)
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        running = Worker(settings, secrets, model, metrics, board, runner.get_loop())
        running.open(predictor, sample_s, together, otel)
        runner.run(running.run(listeners))
    log(logging.INFO, "stopped")


class Worker:
    """Serves what listens. SIGTERM drains; a second one, or Ctrl-C, skips the wait; one more drops what is in flight."""

    def __init__(
        self,
        settings: Settings,
        secrets: Secrets,
        model: Served,
        metrics: Metrics,
        board: Board,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._settings, self._secrets, self._model = settings, secrets, model
        self._metrics, self._board, self._loop = metrics, board, loop
        self._accepting, self._now = asyncio.Event(), asyncio.Event()
        self._draining = self._stopping = False
        self._consumer: Consumer[Any] | None = None

    def open(self, predictor: Predictor, sample_s: float | None, together: int, otel: Otel | None) -> None:
        """Put the model behind the connections."""
        settings, free = self._settings, self._free_bytes()
        allowance = Allowance(
            connections=_connections(settings),
            held_bytes=int(HOLDING * free),
            header_bytes=settings.max_header_bytes,
            header_s=settings.header_s,
            body_s=settings.body_s,
            idle_s=settings.idle_s,
        )
        pace = Pace(sample_s, together, settings.max_queue, settings.queue_s)
        limits = Limits.of(self._model.input, settings.max_batch, settings.max_body_bytes, int(PARSING * free))
        self._gate = Gate(allowance, self._metrics.held)
        self._engine = Engine(predictor, self._metrics, pace, self._loop)
        self._tracer = self._open_tracer(otel)
        auth, tracer = self._secrets.auth, self._tracer
        self._app = App(
            auth,
            self._model,
            self._engine,
            self._metrics,
            tracer,
            limits,
            self._is_ready,
            self._loop,
            settings.events_source,
        )
        self._limits = limits
        if settings.events_url is not None:
            from .events.starting import consumer_of  # most servers have no broker

            self._consumer = consumer_of(settings, self._secrets, self._model, self._engine, limits, self._metrics)

    async def run(self, listeners: Listeners) -> None:
        """Serve until it is stopped and nothing is in flight, or the time for that is over."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.stop, number)
        self._secrets.watch(self._loop, self._metrics)
        acceptors = [self._accept(listeners.http, lambda: Connection(self._app, self._gate, self._loop))]
        if listeners.grpc is not None:
            acceptors.append(self._accept_grpc(listeners.grpc))
        self._gate.sweep(self._loop)
        self._metrics.ready(ready=True)
        self._say_listening(listeners)
        consumer, grace_s = self._consumer, self._settings.grace_s
        consuming = [] if consumer is None else [self._loop.create_task(consumer.run(grace_s))]
        await self._accepting.wait()
        for acceptor in acceptors:
            acceptor.close()
        await asyncio.gather(self._finish(), *consuming)
        self._engine.close()
        self._tracer.close(SPANS_S)
        requests.flush()

    def _accept(
        self, listener: socket.socket, connect: Callable[[], asyncio.Protocol], setting: str = "MODELYARD_PORT"
    ) -> Acceptor:
        begin(listener, setting)
        return Acceptor(listener, connect, self._gate, self._secrets.certificate, self._leave_to_others)

    def _accept_grpc(self, listener: socket.socket) -> Acceptor:
        from .grpc import calls, connection

        service = calls.Calls(self._app, self._model, self._engine, self._limits, self._is_ready, self._loop)
        connect = functools.partial(connection.Connection, service, self._gate, self._loop)
        return self._accept(listener, connect, "MODELYARD_GRPC_PORT")

    def stop(self, number: signal.Signals) -> None:
        """Begin to stop, or hurry if that has begun."""
        wait_s = self._settings.drain_s if number == signal.SIGTERM and not self._draining else 0.0
        if self._stopping:
            self._now.set()
        self._draining = True
        if self._consumer is not None:
            self._consumer.stop()
        self._metrics.ready(ready=False)
        log(logging.INFO, "draining", signal=number.name, wait_s=wait_s)
        if wait_s:
            self._loop.call_later(wait_s, self._stop_accepting)
        else:
            self._stop_accepting()

    def _stop_accepting(self) -> None:
        self._stopping = True
        self._accepting.set()

    async def _finish(self) -> None:
        """Let go of idle connections, and wait for the others."""
        end = self._loop.time() + self._settings.grace_s
        for connection in list(self._gate.open):
            connection.leave()
        while self._gate.open and not self._now.is_set() and self._loop.time() < end:
            await asyncio.sleep(0.02)
        for connection in list(self._gate.open):
            connection.drop()

    def _open_tracer(self, otel: Otel | None) -> Tracer:
        """Return what gives requests their place in a trace, and has their spans sent if that is asked for."""
        if otel is None:
            return Tracer(Sampler())
        from .otlp import Sender

        scheme = "http" if self._secrets.certificate.value is None else "https"
        resource = {"service.name": self._model.name, "service.version": self._model.version} | otel.resource
        return Tracer(otel.sampler, Sender(otel, resource, self._metrics, self._loop), scheme=scheme)

    def _is_ready(self) -> bool:
        return not self._draining and self._board.ready()

    def _leave_to_others(self, connections: int) -> bool:
        """Whether another worker has fewer connections: then it is given a moment to take the next."""
        self._metrics.held(connections, self._gate.held_bytes)
        return len(self._board.rows) > 1 and connections > min(self._board.connections(), default=connections)

    def _free_bytes(self) -> int:
        """Return this worker's share of the memory that is not taken yet."""
        limit = self._settings.memory_bytes or memory_limit() or UNLIMITED_BYTES
        return max(LEAST_BYTES, limit // len(self._board.rows) - resident_bytes())

    def _say_listening(self, listeners: Listeners) -> None:
        host, port = listeners.http.getsockname()[:2]
        grpc = {} if listeners.grpc is None else {"grpc_port": listeners.grpc.getsockname()[1]}
        log(
            logging.INFO,
            "listening",
            host=host,
            port=port,
            **grpc,
            tls=self._secrets.certificate.value is not None,
            password=self._settings.username is not None,
            model=self._model.name,
            version=self._model.version,
            **self._model.identity,
        )


def warm_up(predictor: Predictor, facts: Facts) -> NDArray[Any]:
    """Let the model predict, for the first prediction is the slow one; return the sample that it was given.

    Raises:
        StartError: it does not take a sample of the lowest values, or answers another shape than `model.json` says.
    """
    one = facts.input
    low = one.value_range[0] if one.value_range else 0
    sample = np.full((1, *one.shape), low, one.dtype)
    try:
        answer = np.asarray(predictor.predict(sample))
    except (InputError, RuntimeError, ValueError) as exc:
        msg = f"{facts.file}: the model does not take a sample of zeros: {exc}"
        raise StartError(msg) from exc
    if answer.shape != (1, *facts.output.shape):
        msg = f"{facts.file}: answers shape {answer.shape}; model.json says {(1, *facts.output.shape)}"
        raise StartError(msg)
    return sample


def batches(setting: str, predictor: Predictor, sample: NDArray[Any], alone_s: float | None) -> bool:
    """Return whether requests that wait are predicted together: as set, or as it is measured here to pay.

    It is measured at every start, not when the image is built: that is another machine, and the image is the same there.
    """
    if setting != "auto" or alone_s is None:
        return setting == "on"
    many = np.repeat(sample, _MANY, axis=0)
    predictor.predict(many)
    return median_s(predictor, many) / _MANY < _PAYS * alone_s


def median_s(predictor: Predictor, sample: NDArray[Any]) -> float:
    """Return how long the model takes for `sample`, in seconds."""
    times = []
    for _ in range(_TIMED):
        start = time.perf_counter()
        predictor.predict(sample)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _connections(settings: Settings) -> int:
    """Return how many connections there may be: as many as set, if there are files for them."""
    return max(1, min(settings.max_connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_FILES))


def _name(settings: Settings, facts: Facts) -> str:
    """Return the model's name in the URLs: the setting, or what `model.json` says, or `model`."""
    name = settings.model_name or facts.label("name") or "model"
    if not NAME.fullmatch(name):
        msg = f"model.json: name {name!r}; allowed: letters, digits, '.', '_', '-'; or set MODELYARD_MODEL_NAME"
        raise StartError(msg)
    return name
