"""A request as it comes in: its head, and what its body has so far.

The grammar is llhttp's, by httptools; what it leaves to the server, and what two readers could read differently, is
settled here.

Source: RFC 9112.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

import httptools

from .errors import RequestError
from .messages import Request

_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*", re.IGNORECASE)
_AUTHORITY = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?]*")
_SINGLE = frozenset({b"host", b"content-encoding", b"expect", b"inference-header-content-length"})
"""Header fields that two readers could read differently if they came twice; llhttp sees to Content-Length."""
_NONE = frozenset[bytes]()


class Incoming:
    """Reads the requests of a connection, one at a time.

    Attributes:
        complete: whether the request is whole.
        size: how many bytes its body has so far.
        last: whether the client wants the connection closed after the answer, or cannot go on with it.
    """

    def __init__(self, most: int) -> None:
        """Keep `most` bytes of a body."""
        self.complete = self.last = False
        self.size = 0
        self._most = most
        self._parser = httptools.HttpRequestParser(self)
        self._in_body = False
        self._url = b""
        self._fields: dict[bytes, bytes] = {}
        self._repeated = _NONE
        self._parts: list[bytes] = []

    def read_head(self, head: bytes) -> Request | None:
        """Return the request whose line and header fields are `head`; None: there is nothing but empty lines.

        Raises:
            RequestError: it cannot be read, or not in one way alone.
        """
        self.complete, self._in_body, self._url = False, False, b""
        try:
            # Upgrading is up to the server (RFC 9110, 7.8), but llhttp would not read the body of such a request.
            self._parser.feed_data(_UPGRADE.sub(b"", head) if b"pgrade" in head else head)
        except httptools.HttpParserUpgrade as exc:
            raise RequestError(405, "this server is no proxy: CONNECT is not answered") from exc
        except httptools.HttpParserError as exc:
            raise RequestError(400, f"not an HTTP request: {exc}") from exc
        return self._request() if self._url else None

    def read_body(self, data: bytes) -> None:
        """Take a part of the body, as it was sent.

        Raises:
            RequestError: it is not what its head says.
        """
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as exc:
            raise RequestError(400, f"not a chunked body: {exc}") from exc

    def take_body(self) -> bytes:
        """Return the body, which is not kept here any longer; `size` still counts it."""
        parts, self._parts = self._parts, []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def drop(self) -> None:
        """Forget the body: the request is answered."""
        self._parts, self.size = [], 0

    def close(self) -> None:
        """Forget everything. The parser holds on to this object: the collector would come late for both."""
        self.drop()
        del self._parser

    def _request(self) -> Request:
        method, version = self._parser.get_method().decode("ascii"), self._parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise RequestError(505, f"HTTP/{version} is not spoken here; HTTP/1.1 is")
        if self._repeated and (twice := self._repeated & _SINGLE):
            raise RequestError(400, f"the header {min(twice).decode()!r} came twice")
        path, query = _path(self._url)
        self.last = self.last or version == "1.0"
        return Request(method, path, self._fields, self._repeated, query=query)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A request begins. One right behind a chunked body is not looked at: nobody can say where it began."""
        self.last = self.last or self._in_body
        self._url, self._fields, self._repeated = b"", {}, _NONE

    def on_url(self, url: bytes) -> None:
        """The request's target, or a part of it."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field. Those behind a chunked body are left out, as RFC 9112, 7.1.2 allows."""
        if self._in_body:
            return
        name = name.lower()
        if name in self._fields:
            self._repeated |= {name}
        self._fields[name] = value

    def on_headers_complete(self) -> None:
        """The head is whole; later the parser has forgotten whether the client wants to stay."""
        self._in_body = True
        self.last = self.last or not self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        """A part of the body; of one that is too large already, nothing is kept."""
        self.size += len(data)
        if self.size <= self._most:
            self._parts.append(data)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self.complete = True


def _path(target: bytes) -> tuple[str, str]:
    """Return the path of a request's target, decoded, and its query; of the absolute form, too (RFC 9112, 3.2.2)."""
    if target[:1] != b"/" and (authority := _AUTHORITY.match(target)):
        target = target[authority.end() :]
    before, _, query = target.partition(b"?")
    path = (before or b"/").decode("ascii")
    return unquote(path) if "%" in path else path, query.decode("latin-1")
