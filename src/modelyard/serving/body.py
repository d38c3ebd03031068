"""The body of a request: read up to a limit, decompressed up to the same limit, parsed as JSON."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import orjson

from .errors import RequestError

if TYPE_CHECKING:
    from starlette.requests import Request

GZIP = zlib.MAX_WBITS | 16


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """Return the body of `request`, decompressed if it says gzip.

    Raises:
        RequestError: 413, it is larger than `limit_bytes`; 415, another encoding; 400, damaged gzip.
    """
    body = await _read(request, limit_bytes)
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("identity", ""):
        return body
    if encoding in ("gzip", "x-gzip"):
        return _gunzip(body, limit_bytes)
    raise RequestError(415, f"unsupported Content-Encoding {encoding!r}; supported: gzip, identity")


async def _read(request: Request, limit_bytes: int) -> bytes:
    """Read on after the limit, up to four times of it: a client that is still sending would not see the answer."""
    refusal = RequestError(413, f"the request's body is larger than {limit_bytes} bytes")
    declared = request.headers.get("content-length", "")
    too_large = declared.isdecimal() and int(declared) > limit_bytes
    if too_large and "expect" in request.headers:  # the client has not begun to send
        raise refusal
    body, total = bytearray(), 0
    async for chunk in request.stream():
        total += len(chunk)
        too_large = too_large or total > limit_bytes
        if too_large and total > 4 * limit_bytes:
            break
        if not too_large:
            body += chunk
    if too_large:
        raise refusal
    return bytes(body)


def _gunzip(body: bytes, limit_bytes: int) -> bytes:
    stream = zlib.decompressobj(GZIP)
    try:
        text = stream.decompress(body, limit_bytes + 1)
    except zlib.error as exc:
        raise RequestError(400, f"the request's body is not gzip: {exc}") from exc
    if len(text) > limit_bytes:
        raise RequestError(413, f"the request's body is larger than {limit_bytes} bytes when decompressed")
    if not stream.eof or stream.unused_data:
        raise RequestError(400, "the request's body is not gzip: it is cut short, or something follows it")
    return text


def parse_json(data: bytes, *, literals: bool = False) -> Any:
    """Return the JSON value in `data`.

    Args:
        data: UTF-8 text.
        literals: take `NaN`, `Infinity` and `-Infinity` as well, as TF Serving does.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        if not literals or not (b"NaN" in data or b"Infinity" in data):
            raise
    try:
        return json.loads(data, parse_float=_finite)
    except RecursionError as exc:
        msg = "depth limit exceeded"
        raise ValueError(msg) from exc


def has_literals(data: bytes) -> bool:
    """Whether `true` or `false` may be in the JSON text `data`: the cheap test behind `tensors.dense`."""
    return b"true" in data or b"false" in data


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        msg = "number is infinity when parsed as double"
        raise ValueError(msg)
    return number
