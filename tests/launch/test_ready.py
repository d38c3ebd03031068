"""A server is waited for as long as it may take, and no longer than it runs."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest
from tests.standins.tls import free_port

from modelyard.launch.ready import wait

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def slow() -> Iterator[str]:
    """The address of a server that is ready when it is asked for the third time."""
    codes = iter([503, 503])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(next(codes, 200))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/ready"
    server.shutdown()
    server.server_close()


def test_it_is_asked_until_it_is_ready(slow: str) -> None:
    assert wait(slow, lambda: True, 30, 0.01)


def test_one_that_has_ended_or_is_late_is_not_waited_for() -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    began = time.monotonic()
    assert not wait(nobody, lambda: False, 30, 0.01)
    assert not wait(nobody, lambda: True, 0.05, 0.01)
    assert time.monotonic() - began < 20
