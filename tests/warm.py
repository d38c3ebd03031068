"""`doit` as a person starts it, forked from a process that has imported it already, which is most of what a short run takes.

That process is started by the first run, and lives as long as the tests. A run has its folder, variables and streams
from the test, and begins and ends as that of `python -m doit` does. What Python reads of its environment when it starts
cannot be given to one that has started: with other such variables a run is started anew, as are those of `Popen`.

This file is both sides. As a program it is the process that is forked from, and imports nothing of the tests.
"""

from __future__ import annotations

import functools
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

_READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "DYLD_", "TZ")
_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"  # the one of them that can be changed later
_REQUEST_BYTES = 2**20


def run_doit(
    project: Path, *arguments: str, env: Mapping[str, str], stdin: str | None = None, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run `doit` in a project to its end, with the variables `env` and no others; its output comes back as text.

    Raises:
        subprocess.TimeoutExpired: it took longer than `timeout_s`, and was killed.
    """
    command = [sys.executable, "-m", "doit", *arguments]
    if _read_at_start(env) != _read_at_start(os.environ):
        return subprocess.run(
            command, cwd=project, env=env, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    request = json.dumps({"arguments": arguments, "folder": str(project), "environment": dict(env)})
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write((stdin or "").encode())
        given.seek(0)
        code = _ask(request, [given.fileno(), out.fileno(), err.fileno()], timeout_s)
        if code is None:
            raise subprocess.TimeoutExpired(command, timeout_s)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(command, code, out.read().decode(), err.read().decode())


def _read_at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_READ_AT_START) and name != _NO_BYTECODE}


def _ask(request: str, streams: list[int], timeout_s: float) -> int | None:
    """Return the exit code of a run, or None if it had to be killed."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            socket.send_fds(_server(), [request.encode()], [*streams, theirs.fileno()])
        pid = int(ours.recv(32))
        ours.settimeout(timeout_s)
        try:
            return int(ours.recv(32))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            return None


@functools.cache
def _server() -> socket.socket:
    """Start the process that runs are forked from; it ends when this one does, which closes the socket."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, __file__, str(theirs.fileno()), "doit"]  # the word lets `modelyard.startup` in
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
        )  # fmt: skip
    return ours


def _serve(requests: socket.socket) -> None:
    """Fork for each request until there are no more, and return in the process that is to be `doit`."""
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever asked hears of the end; nobody need be reaped
    while True:
        text, descriptors, _, _ = socket.recv_fds(requests, _REQUEST_BYTES, 4)
        if not text:
            sys.exit()
        if os.fork() == 0:
            requests.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            with socket.socket(fileno=descriptors.pop()) as answer:
                if pid := os.fork():
                    answer.send(f"{pid}".ljust(32).encode())
                    answer.send(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}".encode())
                    os._exit(0)
            _become(descriptors, **json.loads(text))
            return
        for descriptor in descriptors:
            os.close(descriptor)


def _become(streams: list[int], arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Have what `python -m doit` starts with."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.dont_write_bytecode = bool(environment.get(_NO_BYTECODE))
    sys.path[0] = folder
    sys.argv[1:] = arguments
    gc.unfreeze()


if __name__ == "__main__":
    for _name in ("doit.doit_cmd", "modelyard.tasks", "modelyard.commands.run", "modelyard.rendering.templates"):
        importlib.import_module(_name)
    _serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module("doit", run_name="__main__", alter_sys=True)
