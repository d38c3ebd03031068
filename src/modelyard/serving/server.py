"""One worker: it opens the model, serves, and stops without dropping a request."""

from __future__ import annotations

import asyncio
import ctypes
import functools
import gc
import logging
import resource
import signal
from typing import TYPE_CHECKING, Any

from .app import App
from .connection import Connection
from .engine import Engine, Pace
from .gate import Allowance, Gate
from .limits import UNLIMITED_BYTES, Limits, cpu_limit, memory_limit, resident_bytes, values_limit
from .listener import Acceptor, begin
from .loading import check_alone, load
from .logs import log, requests
from .metrics import Metrics
from .repository import Open, Repository, knowing_each_other, places
from .sequences import Sequences, as_many_as_fit
from .served import bounded
from .shares import HOLDING, KEEPING, LEAST_BYTES, PARSING
from .traces import Sampler, Tracer

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence

    from .events.consumer import Consumer
    from .listener import Listeners
    from .loading import Loaded
    from .metrics import Board
    from .mounted import Secrets
    from .otel import Otel
    from .served import Served
    from .settings import Settings
    from .streams import Kept

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MAPPED_BYTES = 320 * 1024
"""Above what the event loop reads from a socket at a time, which comes and goes with each request."""
SPANS_S = 2.0
"""How long the last spans may take to be sent once nothing is in flight."""
SPARE_FILES = 64
"""File descriptors that are not connections."""


def give_back_at_once() -> None:
    """Have the C library map blocks from 320 kB on, and give them back, for as long as the process lives.

    Left alone, glibc keeps larger and larger ones once some were freed, and the gaps between texts that wait: 64 batches
    of events of 400 kB then took 230 MB, and take 30. Source: mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl and macOS have none, and no such rule
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES)
        mallopt(M_TRIM_THRESHOLD, 4 * MAPPED_BYTES)


def serve(
    settings: Settings,
    secrets: Secrets,
    otel: Otel | None,
    listeners: Listeners,
    board: Board,
    worker: int = 0,
    *,
    once: bool = False,
) -> None:
    """Serve until a signal says stop, or with `once` until the broker has no more events, then drain.

    Raises:
        StartError: the model is not there to be used.
    """
    give_back_at_once()
    found = places(settings)
    check_alone(settings, found)
    loaded = [load(settings, place, len(board.rows)) for place in found]
    models = [one.model for one in loaded]
    told = [{"name": model.name, "version": model.version, **model.identity} for model in models]
    metrics = Metrics(board, worker, *told)
    gc.collect()
    gc.freeze()  # what is here stays; what a request makes goes without it, and its lists are many
    gc.set_threshold(50_000, 20, 20)
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        running = Worker(settings, secrets, models, metrics, board, worker, runner.get_loop())
        running.open(loaded, otel, once=once)
        runner.run(running.run(listeners))
    log(logging.INFO, "stopped")


class Worker:
    """Serves what listens. SIGTERM drains; a second one, or Ctrl-C, skips the wait; one more drops what is in flight."""

    def __init__(
        self,
        settings: Settings,
        secrets: Secrets,
        models: Sequence[Served],
        metrics: Metrics,
        board: Board,
        number: int,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._settings, self._secrets, self._models = settings, secrets, models
        self._metrics, self._board, self._number, self._loop = metrics, board, number, loop
        self._accepting, self._now = asyncio.Event(), asyncio.Event()
        self._draining = self._stopping = False
        self._consumer: Consumer[Any] | None = None

    def open(self, loaded: Sequence[Loaded], otel: Otel | None, *, once: bool = False) -> None:
        """Put the models behind the connections, and the only one before the broker."""
        settings, free = self._settings, self._free_bytes()
        allowance = Allowance(
            connections=_connections(settings),
            held_bytes=int(HOLDING * free),
            header_bytes=settings.max_header_bytes,
            header_s=settings.header_s,
            body_s=settings.body_s,
            idle_s=settings.idle_s,
        )
        self._gate = Gate(allowance, self._metrics.held)
        self._repository = Repository(self._opened(loaded, free))
        self._tracer = self._open_tracer(otel)
        auth, tracer = self._secrets.auth, self._tracer
        self._app = App(
            auth,
            self._repository,
            self._metrics,
            tracer,
            self._is_ready,
            self._loop,
            settings.events_source,
        )
        if settings.events_url is not None:
            from .events.starting import consumer_of  # most servers have no broker

            one = self._repository.first
            self._consumer = consumer_of(
                settings, self._secrets, one.model, one.engine, one.limits, self._metrics, self._number, once=once
            )

    def _sequences(self, kept: Sequence[Kept], size_bytes: int) -> Sequences:
        most = as_many_as_fit(kept, self._settings.max_sequences, size_bytes)
        idle_s = self._settings.sequence_idle_s
        return Sequences(kept, most, idle_s, lambda: self._draining, most_bytes=size_bytes)

    def _opened(self, loaded: Sequence[Loaded], free: int) -> Iterator[Open]:
        """Yield each model with a queue of its own; one request to each of them may be read at a time: they share the memory."""
        settings, share = self._settings, free // len(loaded)
        values = values_limit(share, cpu_limit() / len(self._board.rows))
        models = knowing_each_other([one.model for one in loaded]) if len(loaded) > 1 else [loaded[0].model]
        for number, (model, one) in enumerate(zip(models, loaded, strict=True)):
            pace = Pace(one.sample_s, one.together, settings.max_queue, settings.queue_s)
            sequences = None if model.no_sequences else self._sequences(one.kept, int(KEEPING * share))
            engine = Engine(one.predictor, self._metrics.of_model(number), pace, self._loop, sequences)
            limits = Limits.of(model.inputs.values(), settings.max_batch, settings.max_body_bytes, values)
            yield Open(bounded(model, settings.max_length, int(PARSING * share)), engine, limits)

    async def run(self, listeners: Listeners) -> None:
        """Serve until it is stopped and nothing is in flight, or the time for that is over."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.stop, number)
        self._secrets.start(self._loop, self._metrics)
        acceptors = [self._accept(listeners.http, lambda: Connection(self._app, self._gate, self._loop))]
        if listeners.grpc is not None:
            acceptors.append(self._accept_grpc(listeners.grpc))
        self._gate.sweep(self._loop)
        self._metrics.ready(ready=True)
        self._say_listening(listeners)
        consumer, grace_s = self._consumer, self._settings.grace_s
        consuming = [] if consumer is None else [self._loop.create_task(consumer.run(grace_s))]
        for task in consuming:
            task.add_done_callback(self._consumed)
        await self._accepting.wait()
        for acceptor in acceptors:
            acceptor.close()
        await asyncio.gather(self._finish(), *consuming)
        for one in self._repository.models:
            one.engine.close()
        self._tracer.close(SPANS_S)
        requests.flush()

    def _accept(
        self, listener: socket.socket, connect: Callable[[], asyncio.Protocol], setting: str = "MODELYARD_PORT"
    ) -> Acceptor:
        begin(listener, setting)
        return Acceptor(listener, connect, self._gate, self._secrets.certificate, self._leave_to_others)

    def _accept_grpc(self, listener: socket.socket) -> Acceptor:
        from .grpc import calls, connection

        service = calls.Calls(self._app, self._repository, self._is_ready, self._loop)
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

    def _consumed(self, consuming: asyncio.Task[None]) -> None:
        """Stop, too, if the consumer has ended by itself: there are no more events, or it has failed."""
        if not self._draining:
            self._draining = True
            self._metrics.ready(ready=False)
            if consuming.exception() is None:
                log(logging.INFO, "draining", reason="no more events", wait_s=0.0)
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
        first = self._models[0]
        resource = {"service.name": first.name, "service.version": first.version}
        if len(self._models) > 1:
            resource = {"service.name": self._settings.model_name or "modelyard"}
        resource |= otel.resource
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
            **self._said(),
        )

    def _said(self) -> dict[str, Any]:
        """Return what the log says of the models."""
        if len(self._models) > 1:
            return {"models": {f"{one.name}/{one.version}": one.identity for one in self._models}}
        return {"model": self._models[0].name, "version": self._models[0].version, **self._models[0].identity}


def _connections(settings: Settings) -> int:
    """Return how many connections there may be: as many as set, if there are files for them."""
    return max(1, min(settings.max_connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_FILES))
