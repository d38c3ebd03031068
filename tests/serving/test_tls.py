"""A server with a certificate, and clients that trust it or do not."""

from __future__ import annotations

import contextlib
import functools
import http.client
import re
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.serving.conftest import Running
from tests.serving.servers import PREDICT, files


def test_tls_with_a_password_predicts_as_the_interpreter_does(
    start: Callable[..., contextlib.AbstractContextManager[Running]],
    models: Path,
    raw: np.ndarray,
    expected: Callable[[Path, np.ndarray], np.ndarray],
    certificate: Path,
) -> None:
    trusted = ssl.create_default_context(cafile=certificate / "tls.crt")
    login = {"USERNAME": "ann", "PASSWORD": "pass word"}
    with (
        start(models / "int8-io", **files(certificate), **login) as server,
        server.client(verify=trusted, auth=("ann", "pass word")) as client,
    ):
        answer = client.post(PREDICT, json={"instances": raw.tolist()})
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", server.port)) as peer, pytest.raises(ssl.SSLError):
            old.wrap_socket(peer)
        with (
            server.client(verify=True) as stranger,
            pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
        ):
            stranger.get("/v2/health/live")
        with httpx.Client() as plain, pytest.raises(httpx.HTTPError):
            plain.get(f"http://127.0.0.1:{server.port}/v2/health/live")
        stop_s = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - stop_s < 5, "an idle TLS client does not hold the server"

    np.testing.assert_allclose(answer.json()["predictions"], expected(models / "int8-io", raw), atol=1e-6)


def ask_with_tls(port: int, context: Any) -> None:
    with contextlib.closing(http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)) as client:
        client.request("GET", "/v2/health/live")
        assert client.getresponse().status == 200


def ask_without_tls(port: int, context: Any) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert peer.recv(100)[:1] != b"H"


@functools.cache
def stranger() -> ssl.SSLContext:
    """Return what trusts those whom the machine trusts; reading who these are takes longer than a handshake."""
    return ssl.create_default_context()


def distrust(port: int, context: Any) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as peer, pytest.raises(ssl.SSLError):
        stranger().wrap_socket(peer, server_hostname="127.0.0.1")


@pytest.mark.skipif(
    not Path("/proc/self/status").is_file(), reason="needs /proc, to see how much memory the server takes"
)
def test_a_connection_with_tls_that_has_ended_holds_no_memory(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, certificate: Path
) -> None:
    """Each has 256 KiB to read into, and probes alone make hundreds in an hour."""
    context = ssl.create_default_context(cafile=certificate / "tls.crt")
    with start(models / "float32", **files(certificate)) as server:

        def memory_mib() -> float:
            status = Path(f"/proc/{server.process.pid}/status").read_text()
            [kib] = re.findall(r"VmRSS:\s+(\d+) kB", status)
            return int(kib) / 1024

        for end in (ask_with_tls, ask_without_tls, distrust):
            for _ in range(10):
                end(server.port, context)
            before = memory_mib()
            for _ in range(90):
                end(server.port, context)
            assert memory_mib() - before < 15, end.__name__
