"""A health check asks the server where it listens, whatever it listens on and however it is encrypted."""

from __future__ import annotations

import contextlib
import http.server
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.serving import probe as probe_module
from modelyard.serving.probe import probe
from modelyard.serving.settings import Settings


class Health(http.server.BaseHTTPRequestHandler):
    """Is live, and not ready."""

    def do_GET(self) -> None:
        self.send_response({"/v2/health/live": 200, "/v2/health/ready": 503}.get(self.path, 404))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def listening(context: ssl.SSLContext | None = None) -> Iterator[int]:
    server = http.server.HTTPServer(("127.0.0.1", 0), Health)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_server_is_live_or_ready_as_it_says(host: str) -> None:
    with listening() as port:
        settings = Settings(host=host, port=port)

        assert [probe(settings, what) for what in ("live", "ready")] == [True, False]


def test_any_certificate_will_do(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "tls.crt", certificate / "tls.key")
    with listening(context) as port:
        assert probe(Settings(host="127.0.0.1", port=port, tls_cert_file=certificate / "tls.crt"), "live")
        assert not probe(Settings(host="127.0.0.1", port=port), "live"), "nothing else is spoken there"


def test_nobody_there_is_a_no() -> None:
    with listening() as port:
        pass

    assert not probe(Settings(host="127.0.0.1", port=port), "live")


def test_what_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_module, "TIMEOUT_S", 0.02)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not probe(Settings(host="127.0.0.1", port=silent.getsockname()[1]), "live")


def test_what_speaks_no_http_is_a_no() -> None:
    def greet(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"220 smtp\r\n")

    with socket.create_server(("127.0.0.1", 0)) as other:
        thread = threading.Thread(target=greet, args=(other,))
        thread.start()
        assert not probe(Settings(host="127.0.0.1", port=other.getsockname()[1]), "live")
        thread.join()
