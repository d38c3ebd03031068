"""Ask the Docker engine a question or two without its SDK, which takes long to import.

Source: Docker Engine API 1.24, `GET /_ping` and `GET /images/{name}/json`; the SDK's `from_env` for the address.
"""

from __future__ import annotations

import http.client
import os
import socket
from urllib.parse import quote, urlsplit

DEFAULT = "unix:///var/run/docker.sock"
_TIMEOUT_S = 5.0


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a socket of this machine."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def silence() -> str:
    """Return why no engine answers; nothing if one does, or if it is reached in a way that only the SDK knows."""
    connection = _connection()
    if connection is None:
        return ""
    try:
        status = _status(connection, "/_ping")
    except (OSError, http.client.HTTPException) as exc:
        return f"{_address()}: {getattr(exc, 'strerror', None) or exc}"
    return "" if status == http.HTTPStatus.OK else f"{_address()}: answers {status}"


def lacks_image(name: str) -> bool:
    """Return whether the engine that answers says that it does not have the image."""
    connection = _connection()
    try:
        path = f"/images/{quote(name, safe='/:@')}/json"
        return connection is not None and _status(connection, path) == http.HTTPStatus.NOT_FOUND
    except (OSError, http.client.HTTPException):
        return False


def _address() -> str:
    return os.environ.get("DOCKER_HOST") or DEFAULT


def _connection() -> http.client.HTTPConnection | None:
    """Return a connection to the engine; None for ssh and TLS."""
    parts = urlsplit(_address())
    if parts.scheme in ("unix", "http+unix"):
        return _UnixConnection(parts.netloc + parts.path)
    if parts.scheme in ("tcp", "http") and not os.environ.get("DOCKER_TLS_VERIFY"):
        return http.client.HTTPConnection(parts.netloc, timeout=_TIMEOUT_S)
    return None


def _status(connection: http.client.HTTPConnection, path: str) -> int:
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()
