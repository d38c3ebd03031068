"""A request as the handlers see it, and an answer as the connection writes it."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from .trace import Trace

JSON = b"application/json"
REASONS = {status.value: status.phrase.encode() for status in HTTPStatus} | {499: b"Client Closed Request"}
TRY_AGAIN = ((b"retry-after", b"1"),)
"""The header of a 503: what is too much now may not be in a second."""


@dataclass(slots=True)
class Request:
    """A request whose head was read, and whose body is there when it is to be answered.

    Attributes:
        method: `GET`, `POST` ...
        path: the target's path, percent-decoded, without the query.
        headers: values by name in lower case; of one that came twice, the last.
        repeated: the names that came more than once.
        body: as sent, so compressed if `content-encoding` says so.
        trace: its place in a trace; None until it is noted that the request has begun.
        query: what follows the path's `?`, as sent.
    """

    method: str
    path: str
    headers: dict[bytes, bytes]
    repeated: frozenset[bytes] = frozenset()
    body: bytes | bytearray = b""
    trace: Trace | None = None
    query: str = ""

    def text(self, name: bytes) -> str | None:
        """Return the header `name` as text."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


@dataclass(slots=True)
class Response:
    """An answer: all of it, for no answer here is long."""

    status: int
    body: bytes
    media_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def head(self, *, date: bytes, close: bool, trace: Trace | None = None) -> bytes:
        """Return the status line and the header fields, with the empty line that ends them."""
        extra = b"".join([b"%b: %b\r\n" % pair for pair in self.headers]) if self.headers else b""
        return b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\ncontent-length: %d\r\ndate: %b\r\n%b%b%b\r\n" % (
            self.status,
            REASONS[self.status],
            self.media_type,
            len(self.body),
            date,
            extra,
            b"traceparent: %b\r\n" % trace.parent() if trace is not None else b"",
            b"connection: close\r\n" if close else b"",
        )


def json_response(value: Any, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Response:
    """Return `value`, numpy arrays included, as a JSON response."""
    return Response(status, orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY), JSON, headers)


def error_response(status: int, message: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Response:
    """Return `{"error": message}` with `status`, as both protocols say it."""
    safe = message.encode("utf-8", "replace").decode("utf-8")
    return json_response({"error": safe}, status, TRY_AGAIN + headers if status == 503 else headers)
