"""HTTP Basic: a user name and a password in front of everything but the probes.

Source: RFC 7617.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING

from .responses import error_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

OPEN_PATHS = frozenset({"/v2/health/live", "/v2/health/ready"})
"""What answers without a password: the probes of Kubernetes and Docker, which say nothing of the model."""

CHALLENGE = {"WWW-Authenticate": 'Basic realm="modelyard", charset="UTF-8"'}


class BasicAuth:
    """ASGI middleware that answers 401 unless the request brings the user name and the password."""

    def __init__(self, app: ASGIApp, username: str, password: str) -> None:
        self._app = app
        self._expected = _digest(f"{username}:{password}".encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS and not self._allows(scope):
            await error_response(401, "a user name and a password are needed", CHALLENGE)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _allows(self, scope: Scope) -> bool:
        headers = [value for name, value in scope["headers"] if name == b"authorization"]
        given = _credentials(headers[0]) if len(headers) == 1 else b""
        # Digests have one length, so the comparison takes as long for any guess.
        return hmac.compare_digest(_digest(given), self._expected)


def _credentials(header: bytes) -> bytes:
    """Return `user:password` from an `Authorization` header, or nothing."""
    scheme, _, encoded = header.strip().partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _digest(credentials: bytes) -> bytes:
    return hashlib.sha256(credentials).digest()
