"""Events as a broker's client hands them out, and takes them: read, written as an answer, put aside with the reason."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from ..errors import RequestError
from . import structured
from .http import Mode, binary, headers_of, mode_of
from .source import Answer

if TYPE_CHECKING:
    from ..limits import Limits
    from .event import Event
    from .source import Delivery

DETAIL = 500
"""Characters of what went wrong that a dead letter tells."""


def read_event(delivery: Delivery, limits: Limits) -> Event:
    """Return the event that the broker handed out.

    Raises:
        RequestError: it is none, or a limit is exceeded.
    """
    headers, body = delivery.headers, delivery.body
    if len(body) + sum(map(len, headers.values())) > limits.body:
        raise RequestError(413, f"the event is larger than {limits.body} bytes")
    media_type = headers.get(b"content-type", headers.get(b"ce-datacontenttype", b"")).decode("latin-1")
    mode = mode_of(media_type)
    if mode is Mode.BATCH:
        raise RequestError(415, "a batch is not taken from a broker: send one event a message")
    if mode is Mode.STRUCTURED:
        return structured.read_one(body, limits)
    others = {name: value for name, value in headers.items() if name != b"ce-datacontenttype"}
    return binary(others, body, media_type or None)


def answer_of(result: Event) -> Answer:
    """Return an answer as the broker's client sends it."""
    headers = headers_of(result)
    headers["ce-datacontenttype"] = result["datacontenttype"]
    return Answer(result["id"], headers, bytes(result.data or b""))


def why_dead(delivery: Delivery, attempt: int, reason: str, detail: str, code: int) -> dict[str, str]:
    """Return the header fields by which a dead letter says why it is one.

    Args:
        delivery: the event.
        attempt: how often it was tried.
        reason: `unprocessable`, or `failed`.
        detail: what went wrong, in words.
        code: the same as a status of HTTP.
    """
    return {
        "ce-errorreason": reason,
        "ce-errordetail": quote(detail[:DETAIL], safe=" !#$&'()*+,-./:;<=>?@[]_{|}~").replace(" ", "%20"),
        "ce-errorattempts": str(attempt),
        "ce-errororigin": quote(delivery.origin, safe=":/.-_"),
        "ce-knativeerrorcode": str(code),
    }
