"""The processes that serve: one, which is this, or several that share the listening socket.

Several are watched by this one, which does nothing else: it passes signals on, and puts another in the place of one that
ends by itself.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from .errors import StartError
from .limits import cpu_limit
from .listener import Listeners
from .logs import log
from .metrics import Board
from .model import Facts
from .repository import places

if TYPE_CHECKING:
    from .mounted import Secrets
    from .otel import Otel
    from .settings import Settings

CANNOT_START = 2
AGAIN_S = 1.0
"""The shortest time between two starts of one worker."""
_HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


def serve(settings: Settings, secrets: Secrets, otel: Otel | None, *, once: bool = False) -> int:
    """Serve until a signal says stop; return the exit code.

    With `once` one process serves, until the broker has no more events.

    Raises:
        StartError: the port or the model is not there to be used.
    """
    from . import server

    count = 1 if once else settings.workers or _as_many_as_fit(settings)
    listeners = Listeners.of(settings)
    board = Board(count, len(places(settings)))
    if count == 1:
        server.serve(settings, secrets, otel, listeners, board, once=once)
        return 0
    return Watch(settings, secrets, otel, listeners, board).run()


def _as_many_as_fit(settings: Settings) -> int:
    """Return how many workers the CPU limit has room for; one for models whose sequences each are in one process."""
    keeps = any(Facts.read(place.folder).keeps for place in places(settings))
    return 1 if keeps else max(1, int(cpu_limit() / settings.threads))


class Watch:
    """Starts workers, and stops them."""

    def __init__(
        self, settings: Settings, secrets: Secrets, otel: Otel | None, listeners: Listeners, board: Board
    ) -> None:
        self._settings, self._secrets, self._otel = settings, secrets, otel
        self._listeners, self._board = listeners, board
        self._workers: dict[int, tuple[int, float]] = {}
        self._stopping = False
        self._close_at = float("inf")
        self._code = 0
        self._alive = os.pipe()

    def run(self) -> int:
        """Watch until every worker has ended; return the exit code."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        for number in range(len(self._board.rows)):
            self._start(number)
            if number == 0 and not self._first_is_ready():
                break  # what is wrong is said once
        while self._workers:
            heard = signal.sigtimedwait(_HEARD, 0.5)
            if heard is not None and heard.si_signo != signal.SIGCHLD:
                self._stop(signal.Signals(heard.si_signo))
            self._reap()
            if time.monotonic() >= self._close_at:
                self._listeners.close()
        return self._code

    def _start(self, number: int) -> None:
        process = os.fork()
        if not process:
            self._become(number)
        self._workers[process] = (number, time.monotonic())

    def _become(self, number: int) -> None:
        """Be the worker `number`, and end as it does."""
        code = CANNOT_START
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; this process passes it on
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
            os.close(self._alive[1])
            _end_with_parent(self._alive[0])
            from . import server

            server.serve(self._settings, self._secrets, self._otel, self._listeners, self._board, number)
            code = 0
        except StartError as exc:
            print(f"{__package__}: {exc}", file=sys.stderr)
        except SystemExit:
            code = 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _first_is_ready(self) -> bool:
        """Wait until the first worker serves; return whether it does."""
        while self._workers and not self._stopping and not self._board.rows[0][1]:
            heard = signal.sigtimedwait(_HEARD, 0.02)
            if heard is not None and heard.si_signo != signal.SIGCHLD:
                self._stop(signal.Signals(heard.si_signo))
            self._reap()
        return bool(self._workers) and not self._stopping

    def _stop(self, number: signal.Signals) -> None:
        """Pass a signal on; Ctrl-C is two, for it does not wait."""
        self._stopping = True
        self._close_at = time.monotonic() + (self._settings.drain_s if number == signal.SIGTERM else 0)
        for process in self._workers:
            for _ in range(1 if number == signal.SIGTERM else 2):
                os.kill(process, signal.SIGTERM)
                time.sleep(0.01)  # one of two that are pending is lost

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                self._ended(ended[0], os.waitstatus_to_exitcode(ended[1]))

    def _ended(self, process: int, code: int) -> None:
        number, started = self._workers.pop(process)
        row = self._board.rows[number]
        row[1] = row[2] = row[3] = row[4] = row[5] = 0
        if self._stopping:
            return
        if code == CANNOT_START:
            self._code = code
            self._stop(signal.SIGINT)
            return
        log(logging.ERROR, "a worker ended", worker=number, code=code, action="another is started")
        time.sleep(max(0.0, AGAIN_S - (time.monotonic() - started)))
        self._start(number)


def _end_with_parent(pipe: int) -> None:
    """End this process when the other end of `pipe` is closed, however its holder ended."""
    import threading

    def wait() -> None:
        os.read(pipe, 1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
