"""What both protocols' answers have in common: what went wrong, and compression for who asks for it."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

from .errors import InputError, Overloaded, RequestError
from .logs import logger
from .messages import Response, error_response
from .tensors import TensorError

if TYPE_CHECKING:
    from .messages import Request

FAILED = "internal error; the server's log has the reason"
COMPRESS_BYTES = 4096
"""Below this size an answer goes as it is: it is one packet or three."""
_LEVEL = 1


def failure(exc: Exception) -> Response:
    """Return the answer that says what went wrong: the client's mistake in words, anything else in the log alone."""
    wrong = refusal_of(exc)
    return error_response(wrong.status, wrong.message)


def refusal_of(exc: Exception) -> RequestError:
    """Return the status and the words for what went wrong; what is not the client's mistake is logged."""
    if isinstance(exc, RequestError):
        return exc
    if isinstance(exc, TensorError | InputError):
        return RequestError(400, str(exc))
    if isinstance(exc, Overloaded):
        return RequestError(503, str(exc))
    logger.error("failed", exc_info=exc)
    return RequestError(500, FAILED)


def compressed(response: Response, request: Request) -> Response:
    """Return `response`, compressed if it is large and `request` says that it may be."""
    accepts = request.headers.get(b"accept-encoding")
    if accepts is None or len(response.body) < COMPRESS_BYTES:
        return response
    codings = {
        one.partition(b";")[0].strip().lower()
        for one in accepts.split(b",")
        if b"q=0" not in one.replace(b" ", b"").replace(b"q=0.", b"")
    }
    if b"gzip" in codings:
        response.body, coding = gzip.compress(response.body, _LEVEL, mtime=0), b"gzip"
    elif b"deflate" in codings:
        response.body, coding = zlib.compress(response.body, _LEVEL), b"deflate"
    else:
        return response
    response.headers += ((b"content-encoding", coding), (b"vary", b"accept-encoding"))
    return response
