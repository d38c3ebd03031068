"""The `doit` process's side of the workers: one worker for each environment, started when first needed."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from modelyard.errors import StageFailed
from modelyard.execution.protocol import Request, Result
from modelyard.files.json import decode, read_bytes, write_bytes
from modelyard.system import forking_environment

Environment = tuple[tuple[tuple[str, str], ...], tuple[str, ...]]
"""What sets workers apart: environment variables and modules to import first."""

_SAID_BYTES = 20_000


class Pool:
    """Runs requests in workers. One worker serves all stages of an environment, so a framework is imported once.

    Args:
        preload: modules that every worker imports before it serves, besides those that a request asks for.
    """

    def __init__(self, preload: tuple[str, ...] = ()) -> None:
        self._preload = preload
        self._workers: dict[Environment, _Worker] = {}
        self._lock = threading.Lock()
        self._numbers = count(1)

    def number(self) -> int:
        """Return a number for the next request."""
        return next(self._numbers)

    def run(
        self,
        request: Request,
        path: Path,
        environment: Mapping[str, str],
        preload: tuple[str, ...],
        on_event: Callable[[dict[str, Any]], None],
    ) -> tuple[Result, int]:
        """Run one request to its end.

        Args:
            request: what to run.
            path: where to write it for the worker.
            environment: variables that the worker must have from its start.
            preload: modules that the worker imports before it serves.
            on_event: called with each progress event.

        Returns:
            What the stage answered, and its peak memory in bytes.

        Raises:
            StageFailed: the worker died: killed, out of memory, a crash in native code.
        """
        write_bytes(path, msgspec.json.encode(request))
        worker = self._worker((tuple(sorted(environment.items())), (*self._preload, *preload)))
        for event in worker.run(request.id, str(path)):
            if "exit" in event:
                return _result(request, event, worker), event.get("peak_memory_bytes", 0)
            if "stale" in event:
                worker.send(f"{path}\tnew")
            else:
                on_event(event)
        worker.tell(request.log)
        msg = f"{request.stage}: its worker process ended without an answer\n  the log is {request.log}"
        raise StageFailed(msg)

    def close(self) -> None:
        """End every worker and what runs in it."""
        with self._lock:
            for worker in self._workers.values():
                worker.close()
            self._workers.clear()

    def _worker(self, environment: Environment) -> _Worker:
        with self._lock:
            worker = self._workers.get(environment)
            if worker is None or not worker.alive:
                worker = self._workers[environment] = _Worker(environment)
            return worker


def _result(request: Request, event: dict[str, Any], worker: _Worker) -> Result:
    with contextlib.suppress(FileNotFoundError):
        return _decode(request, read_bytes(request.result))
    worker.tell(request.log)
    code = event["exit"]
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    hint = "the machine may have run out of memory; " if code == -9 else ""
    msg = f"{request.stage}: its process {how}\n  {hint}the log is {request.log}"
    raise StageFailed(msg)


def _decode(request: Request, answer: bytes) -> Result:
    try:
        return decode(answer, Result)
    except ValueError as exc:
        msg = f"{request.stage}: its answer could not be written whole\n  make room on the disk, then run `doit` again: what was built is kept"
        raise StageFailed(msg) from exc


class _Worker:
    """One worker process and a thread that hands its events to whoever waits for them."""

    def __init__(self, environment: Environment) -> None:
        variables, preload = environment
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker; `close` closes it
        self._process = subprocess.Popen(
            [sys.executable, "-m", "modelyard.execution.worker", *preload],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env={**os.environ, **forking_environment(), **dict(variables)},
            start_new_session=True,  # Ctrl-C reaches the doit process alone, which then ends its workers
        )
        self._waiting: dict[int, queue.SimpleQueue[dict[str, Any] | None]] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def run(self, number: int, line: str) -> Any:
        events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        with self._lock:
            self._waiting[number] = events
        if not self.send(line):
            return
        while (event := events.get()) is not None:
            yield event
            if "exit" in event:
                return

    def send(self, line: str) -> bool:
        """Send a line to the worker; False if it is gone."""
        assert self._process.stdin is not None
        try:
            with self._lock:
                self._process.stdin.write(f"{line}\n".encode())
                self._process.stdin.flush()
        except BrokenPipeError:
            return False
        return True

    def tell(self, log: str) -> None:
        """Append to the file `log` the end of what the worker itself said: a crash before a stage could say anything."""
        said = self._said.fileno()
        begin = max(0, os.fstat(said).st_size - _SAID_BYTES)
        with open(log, "ab") as file:
            file.write(os.pread(said, _SAID_BYTES, begin))  # a seek would move where the worker writes

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = msgspec.json.decode(line)
            with self._lock:
                waiting = self._waiting.get(event["id"])
                if "exit" in event:
                    self._waiting.pop(event["id"], None)
            if waiting is not None:
                waiting.put(event)
        with self._lock:
            for waiting in self._waiting.values():
                waiting.put(None)

    def close(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()
