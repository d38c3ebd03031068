"""Asks a server whether it is live, again and again: `python -m tests.serving.alive PORT`.

Each time it is a new connection, as a kubelet's is. It is a process of its own, for threads that send bodies would hold it
up, and goes before others where it may. Each line that it prints is when it asked and when it had its answer, in seconds
of the monotonic clock.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time

REQUEST = b"GET /v2/health/live HTTP/1.1\r\nhost: server\r\nconnection: close\r\n\r\n"
TOLD_S = 0.02
"""What takes less is not told."""


def main(port: int) -> None:
    with contextlib.suppress(OSError):
        os.nice(-10)
    while True:
        start = time.monotonic()
        with contextlib.suppress(OSError):
            ask(port)
        end = time.monotonic()
        if end - start >= TOLD_S:
            print(start, end, flush=True)
        time.sleep(0.01)


def ask(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as peer:
        peer.sendall(REQUEST)
        while peer.recv(4096):
            pass


if __name__ == "__main__":
    main(int(sys.argv[1]))
