"""Servers that are started as a person starts them, and what is asked of them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PREDICT = "/v1/models/digits:predict"


def slow_request(server: Any, body: Any) -> Any:
    """A request whose head, and all of its body but the last byte, are with the server."""
    peer = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    peer.sendall(head.encode() + body[:-1])
    time.sleep(0.3)
    return peer


def read_all(peer: Any) -> bytes:
    data = b""
    while chunk := peer.recv(65536):
        data += chunk
    return data


def group_is_gone(pid: int) -> bool:
    """Whether no process of the server's session is left."""
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return True
    return False


def sample_of(client: Any, name: str) -> Any:
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def wait_until(condition: Any, timeout_s: int = 10) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def run(*arguments: Any, **settings: Any) -> Any:
    """Start the server where it cannot start; return what came of it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MODELYARD_")}
    settings = {"HOST": "127.0.0.1", "PORT": "0", **settings}
    environment = kept | {f"MODELYARD_{name}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "modelyard.serving", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def assert_one_line(result: Any, *parts: Any) -> None:
    errors = [line for line in result.stderr.splitlines() if not line.startswith(("INFO:", "WARNING:"))]
    assert (result.returncode, len(errors)) == (2, 1), result.stderr
    assert errors[0].startswith("modelyard.serving: ")
    assert all(part in errors[0] for part in parts), errors[0]


def make_certificate(folder: Path, days: int = 2) -> None:
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days)]
    names = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt")]
    subprocess.run(["openssl", "req", *kind, *names, *files], check=True, capture_output=True)


def files(folder: Path) -> dict[str, str]:
    return {"TLS_CERT_FILE": str(folder / "tls.crt"), "TLS_KEY_FILE": str(folder / "tls.key")}
