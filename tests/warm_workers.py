"""The process that workers of one kind are forked from, see `tests.warm`: `python warm_workers.py LIFE NAME MODULE...`.

It has imported what such a worker imports at its start: what `modelyard.execution.worker` needs, numpy, and the modules of
a framework. It listens on the abstract socket `NAME`, and ends when the pipe `LIFE` does. `Worker` is its other side,
which takes the place of `subprocess.Popen` in the `doit` process.

A request is a message of JSON with three open files: the worker's streams. The worker's process id comes back, and when it
has ended its exit code. Nothing of the tests is imported here.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

PIPE, TimeoutExpired = subprocess.PIPE, subprocess.TimeoutExpired  # the other words of `subprocess` that a pool uses

_REQUEST_BYTES = 2**20
_OF_ONE_TEST = ("MODELYARD_", "PYTEST_", "TESTS_", "PATH")
"""Variables that nothing reads while it is imported: a worker may be given others than its process was started with."""

_started_with = dict(os.environ)
_life = -1


def use(life: int) -> None:
    """Have the builds of this process fork their workers, from processes that end with the pipe `life`."""
    global _life
    _life = life
    pool = importlib.import_module("modelyard.execution.pool")
    pool.subprocess = sys.modules[__name__]  # type: ignore[attr-defined]


def Popen(command: Sequence[str], *, env: Mapping[str, str], stderr: IO[bytes], **how: Any) -> Any:  # noqa: N802
    """Start a worker: forked, unless the build has variables of its own that may count when something is imported."""
    own = {name: value for name, value in env.items() if os.environ.get(name) != value}
    if _settled(os.environ) != _settled(_started_with):
        return subprocess.Popen(command, env=env, stderr=stderr, **how)
    return Worker(command[3:], own, env, stderr.fileno())


def _settled(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if not name.startswith(_OF_ONE_TEST)}


class Worker:
    """A forked worker, as its `doit` process sees it: as much of a `subprocess.Popen` as a pool uses."""

    def __init__(self, preload: Sequence[str], own: Mapping[str, str], env: Mapping[str, str], stderr: int) -> None:
        self.returncode: int | None = None
        to_read, written = os.pipe()
        read, to_write = os.pipe()
        self.stdin, self.stdout = os.fdopen(written, "wb"), os.fdopen(read, "rb")
        self._answers = _connect(preload, own)
        request = json.dumps({"folder": str(Path.cwd()), "environment": dict(env), "preload": preload})
        socket.send_fds(self._answers, [request.encode()], [to_read, to_write, stderr])
        os.close(to_read)
        os.close(to_write)
        self._pid = int(self._answers.recv(32))

    def poll(self) -> int | None:
        """Return the exit code, or None as long as it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code.

        Raises:
            subprocess.TimeoutExpired: it has not ended within `timeout` seconds.
        """
        if self.returncode is None:
            self._answers.settimeout(timeout)
            try:
                self.returncode = int(self._answers.recv(32) or -signal.SIGKILL)
            except (BlockingIOError, TimeoutError):
                raise subprocess.TimeoutExpired(str(self._pid), timeout or 0) from None
            self._answers.close()
        return self.returncode

    def kill(self) -> None:
        """Kill it."""
        if self.poll() is None:
            os.kill(self._pid, signal.SIGKILL)


def _connect(preload: Sequence[str], own: Mapping[str, str]) -> socket.socket:
    """Return a connection to the process that has imported `preload` with the variables `own`; start it if there is none."""
    kind = hashlib.sha256(json.dumps([os.fstat(_life).st_ino, preload, sorted(own.items())]).encode()).hexdigest()
    name = f"modelyard-tests-{kind[:32]}"
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if connection.connect_ex(f"\0{name}"):
        command = [sys.executable, __file__, str(_life), name, *preload]
        environment, nothing = {**_started_with, **own}, subprocess.DEVNULL
        started = subprocess.Popen(
            command, cwd="/", env=environment, stdin=nothing, stdout=nothing, stderr=nothing, pass_fds=[_life],
            start_new_session=True,
        )  # fmt: skip
        while connection.connect_ex(f"\0{name}"):
            if started.poll():
                msg = f"{command} ended with exit code {started.returncode}: run it by hand to see why"
                raise RuntimeError(msg)
            time.sleep(0.005)
    return connection


def _serve(listener: socket.socket, life: int) -> Sequence[str]:
    """Fork for each request; return, in the process that is to be a worker, the modules that it imports first."""
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        if life in select.select([listener.fileno(), life], [], [])[0]:
            sys.exit()
        connection, _ = listener.accept()
        with connection:
            text, descriptors, _, _ = socket.recv_fds(connection, _REQUEST_BYTES, 3)
            if text and os.fork() == 0:
                listener.close()
                os.close(life)
                _fork_and_answer(connection, descriptors)
                return _become(descriptors, **json.loads(text))
        for descriptor in descriptors:
            os.close(descriptor)


def _fork_and_answer(connection: socket.socket, streams: Sequence[int]) -> None:
    """Return in a child, whose id and exit code its parent answers with."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        return
    for stream in streams:  # else nobody would hear that the worker has closed its own
        os.close(stream)
    with contextlib.suppress(BrokenPipeError):  # who asked may be gone before its worker
        connection.send(f"{pid:<32}".encode())
        connection.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())
    os._exit(0)


def _become(streams: Sequence[int], folder: str, environment: dict[str, str], preload: Sequence[str]) -> Sequence[str]:
    """Have what a process of `python -m modelyard.execution.worker` starts with."""
    os.setsid()
    begin(streams, folder, environment)
    return preload


def begin(streams: Sequence[int], folder: str, environment: Mapping[str, str]) -> None:
    """Have the streams, the folder and the variables of a process of `python -m` that was started there."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0] = folder


def _main(life: int, name: str, preload: Sequence[str]) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        listener.bind(f"\0{name}")
    except OSError:
        return  # another build has started one
    listener.listen(64)
    gc.disable()  # as a worker does while it imports
    from modelyard.execution import worker

    for module in ("numpy", *preload):
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    worker.main(_serve(listener, life))


if __name__ == "__main__":
    _main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
