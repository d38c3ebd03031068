"""Asks a server on this machine whether it is live or ready: a health check where there is no curl."""

from __future__ import annotations

import http.client
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .settings import Settings

TIMEOUT_S = 3.0


def probe(settings: Settings, what: str) -> bool:
    """Return whether the server with these `settings` answers 200 at `/v2/health/<what>`."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    connection = http.client.HTTPConnection(host, settings.port, timeout=TIMEOUT_S)
    if settings.tls_cert_file is not None:
        connection = http.client.HTTPSConnection(host, settings.port, timeout=TIMEOUT_S, context=_own())
    try:
        connection.request("GET", f"/v2/health/{what}")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _own() -> ssl.SSLContext:
    """The certificate is for the name that clients use, not for loopback; nothing secret is sent."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
