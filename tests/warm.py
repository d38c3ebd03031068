"""`doit` as a person starts it, forked from a process that has imported it already, which is most of what a short run takes.

That process is started by the first run, and lives as long as the tests; so do those that its workers are forked from, see
`tests/warm_workers.py`. A run has its folder, variables and streams
from the test, and begins and ends as that of `python -m doit` does. What Python reads of its environment when it starts
cannot be given to one that has started: with other such variables a run is started anew, as are those of `Popen`.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.known import know

_READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "DYLD_", "TZ")
_SERVER = Path(__file__).with_name("warm_server.py")


def run_doit(
    project: Path, *arguments: str, env: Mapping[str, str], stdin: str | None = None, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run `doit` in a project to its end, with the variables `env` and no others; its output comes back as text.

    A project that was never built is given what it would find of modelyard's own code, see `tests.known`.

    Raises:
        subprocess.TimeoutExpired: it took longer than `timeout_s`, and was killed.
    """
    command = [sys.executable, "-m", "doit", *arguments]
    know(project)
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
    return {name: value for name, value in env.items() if name.startswith(_READ_AT_START)}


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
    life, _ = os.pipe()  # the end to write to is open for as long as this process lives
    with theirs:
        number = theirs.fileno()
        command = [sys.executable, str(_SERVER), str(number), str(life), "doit"]  # the word lets `modelyard.startup` in
        nothing = subprocess.DEVNULL
        subprocess.Popen(command, stdin=nothing, stdout=nothing, pass_fds=[number, life])
    os.close(life)
    return ours
