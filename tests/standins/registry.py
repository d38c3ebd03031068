"""A real registry on loopback, Debian's docker-registry, for as long as a test needs it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.standins.tls import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def registry(folder: Path, port: int = 0, auth: str = "") -> Iterator[str]:
    """Start a registry that keeps its blobs in `folder`; gives `host:port`. `auth` is YAML for its configuration."""
    if shutil.which("docker-registry") is None:
        pytest.skip("the program docker-registry is not installed")
    address = f"127.0.0.1:{port or free_port()}"
    config = folder / f"{address.replace(':', '-')}.yml"
    storage = f"storage: {{filesystem: {{rootdirectory: '{config.with_suffix('')}'}}}}"
    config.write_text(f"version: 0.1\n{storage}\nhttp: {{addr: '{address}'}}\nlog: {{level: error}}\n{auth}\n")
    with config.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=log)
    try:
        _wait_for(address)
        yield address
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(address: str) -> None:
    host, _, port = address.partition(":")
    for _ in range(100):
        try:
            socket.create_connection((host, int(port)), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    pytest.fail("docker-registry did not start")
