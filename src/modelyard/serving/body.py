"""The body of a request: decompressed up to a limit, and parsed as JSON once its values are counted."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import orjson

from .errors import RequestError
from .limits import FREELY_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from .limits import Limits
    from .messages import Request

_WINDOWS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
"""zlib's names of the formats: `deflate` means the one with zlib's header and checksum (RFC 9110, 8.4.1.2)."""

_FEW = 1000
"""How often a letter stands beside a request's tensors, at most, as far as it is worth to count."""


def decode(request: Request, limits: Limits) -> bytes | bytearray:
    """Return the body of `request`, decompressed if it says that it is not.

    Raises:
        RequestError: 413, it grows beyond the limits; 415, another encoding; 400, it is damaged.
    """
    encoding = (request.text(b"content-encoding") or "identity").strip().lower()
    if encoding in ("identity", ""):
        return request.body
    if encoding not in _WINDOWS:
        raise RequestError(415, f"unsupported Content-Encoding {encoding!r}; supported: gzip, deflate, identity")
    return _inflate(request.body, encoding, limits)


def _inflate(body: bytes | bytearray, encoding: str, limits: Limits) -> bytes:
    stream, limit = zlib.decompressobj(_WINDOWS[encoding]), limits.inflated(len(body))
    name = encoding.removeprefix("x-")
    try:
        text = stream.decompress(body, limit + 1)
    except zlib.error as exc:
        raise RequestError(400, f"the request's body is not {name}: {exc}") from exc
    if len(text) > limit:
        raise RequestError(413, f"the request's body is larger than {limit} bytes when decompressed")
    if not stream.eof or stream.unused_data:
        raise RequestError(400, f"the request's body is not {name}: it is cut short, or something follows it")
    return text


def parse_json(data: bytes | bytearray | memoryview, limits: Limits, *, literals: bool = False) -> Any:
    """Return the JSON value in `data`.

    Args:
        data: UTF-8 text.
        limits: what its values may take.
        literals: take `NaN`, `Infinity` and `-Infinity` as well, as TF Serving does.

    Raises:
        ValueError: it is not JSON.
        RequestError: its values would take too much memory.
    """
    limits.check_text(data)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        text = bytes(data)
        if not literals or not (b"NaN" in text or b"Infinity" in text):
            raise
    try:
        return json.loads(text, parse_float=_finite)
    except RecursionError as exc:
        msg = "depth limit exceeded"
        raise ValueError(msg) from exc


def has_truth_values(data: bytes | bytearray | memoryview, beside: Callable[[], Any]) -> bool:
    """Whether `true` or `false` may stand among the tensors in the JSON text `data`.

    Numbers have no `r` and no `l`. Clients write these into names and parameters: those in what `beside` returns, all but
    the tensors, are counted apart. An escape could hide some.
    """
    text = bytes(data)
    if b"r" not in text and b"l" not in text:
        return False
    if b"\\" in text:
        return True
    try:
        known = orjson.dumps(beside())
    except TypeError:  # a number beyond 64 bits
        return True
    return any(_has_more(text, letter, known.count(letter)) for letter in (b"r", b"l"))


def _has_more(text: bytes, letter: bytes, times: int) -> bool:
    """Return whether `letter` stands in `text` more often than so many `times`, found as `memchr` does it; or may do so."""
    at = -1
    for _ in range(min(times, _FEW) + 1):
        at = text.find(letter, at + 1)
        if at < 0:
            return False
    return True


def is_small(request: Request) -> bool:
    """Whether reading the body takes well below a millisecond."""
    return len(request.body) <= FREELY_BYTES and b"content-encoding" not in request.headers


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        msg = "number is infinity when parsed as double"
        raise ValueError(msg)
    return number
