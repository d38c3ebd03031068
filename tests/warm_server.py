"""The process that runs of `doit` are forked from, see `tests.warm`: `python warm_server.py SOCKET LIFE`.

A request is a message of JSON with four open files: the run's three streams, and a socket. On that comes the run's
process id, in 32 bytes, and when it has ended its exit code. The pipe `LIFE` ends with the tests. Of the tests nothing but
`warm_workers` is imported here.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys

_REQUEST_BYTES = 2**20
_IMPORTED = ("doit.doit_cmd", "modelyard.tasks", "modelyard.commands.run", "modelyard.rendering.templates")


def serve(requests: socket.socket) -> None:
    """Fork for each request until there are no more; this returns in the process that is to be `doit`."""
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who asked is told of the end: none need be waited for here
    while True:
        text, descriptors, _, _ = socket.recv_fds(requests, _REQUEST_BYTES, 4)
        if not text:
            sys.exit()
        if os.fork() == 0:
            requests.close()
            _fork_and_answer(descriptors.pop())
            _become(descriptors, **json.loads(text))
            return
        for descriptor in descriptors:
            os.close(descriptor)


def _fork_and_answer(descriptor: int) -> None:
    """Return in a child, whose id and exit code its parent answers with."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with socket.socket(fileno=descriptor) as answer:
        pid = os.fork()
        if pid:
            answer.send(f"{pid:<32}".encode())
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            answer.send(str(code).encode())
            os._exit(0)


def _become(streams: list[int], arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Have what a process of `python -m doit` starts with."""
    sys.modules["warm_workers"].begin(streams, folder, environment)
    sys.argv[1:] = arguments
    gc.unfreeze()


if __name__ == "__main__":
    for name in _IMPORTED:
        importlib.import_module(name)
    workers = importlib.import_module("warm_workers")
    if sys.platform == "linux":  # others have no abstract sockets
        workers.use(int(sys.argv[2]))
    serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module("doit", run_name="__main__", alter_sys=True)
