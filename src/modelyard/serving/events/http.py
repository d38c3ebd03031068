"""Events in HTTP requests and answers: with the attributes as header fields, as JSON, or several as a JSON list.

Source: CloudEvents 1.0.2, bindings/http-protocol-binding.md and http-webhook.md.
"""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..body import decode
from ..errors import RequestError
from ..messages import Response
from . import structured
from .event import Event, checked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..limits import Limits
    from ..messages import Request

PREFIX = b"ce-"
TYPE = "datacontenttype"
KNOWN = 64
"""How many media types and names of header fields are remembered: those that are sent, and not all that strangers make up."""
_ANY = "application/cloudevents"
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})?")
_SAFE = "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
"""Printable characters but '"' and '%': what header fields carry as it is."""
_PLAIN = re.compile(f"[A-Za-z0-9{re.escape(_SAFE)}]*")


class Mode(Enum):
    """How an event is written."""

    BINARY = "attributes are header fields, the body is the data"
    STRUCTURED = "the body is the event, as JSON"
    BATCH = "the body is a list of events, as JSON"


@lru_cache(maxsize=KNOWN)
def mode_of(media_type: str) -> Mode:
    """Return how a message of `media_type` holds its event.

    Raises:
        RequestError: 415, as nothing that is read here.
    """
    kind, _, parameters = (part.strip().lower() for part in media_type.partition(";"))
    if not kind.startswith(_ANY):
        return Mode.BINARY
    charset = dict(pair.partition("=")[::2] for pair in parameters.replace(" ", "").split(";")).get("charset", "utf-8")
    modes = {structured.STRUCTURED: Mode.STRUCTURED, structured.BATCH: Mode.BATCH}
    if kind not in modes or charset.strip('"') != "utf-8":
        message = f"unsupported Content-Type {media_type[:100]!r}; supported: {', '.join(modes)}, in UTF-8"
        raise RequestError(415, message)
    return modes[kind]


def read_mode(request: Request) -> Mode:
    """Return how `request` holds its event.

    Raises:
        RequestError: 415, as nothing that is read here.
    """
    return mode_of(request.text(b"content-type") or "")


def read_one(request: Request, mode: Mode, limits: Limits) -> Event:
    """Return the one event that `request` holds.

    Raises:
        RequestError: it holds none, or a limit is exceeded.
    """
    body = decode(request, limits)
    if mode is Mode.STRUCTURED:
        return structured.read_one(body, limits)
    twice = sorted(name for name in request.repeated if name.startswith(PREFIX))
    if twice:
        raise RequestError(400, f"not a CloudEvent: the header {twice[0].decode('latin-1')!r} came twice")
    return binary(request.headers, body, request.text(b"content-type"))


def binary(headers: Mapping[bytes, bytes], data: bytes | bytearray, media_type: str | None) -> Event:
    """Return the event whose attributes are `headers`, by names in lower case, and whose data has `media_type`.

    Raises:
        RequestError: 400, it is none.
    """
    attributes = {_name(key): _value(key, value) for key, value in headers.items() if key.startswith(PREFIX)}
    if media_type is not None:
        attributes[TYPE] = media_type
    return Event(checked(attributes), data or None)


def read_batch(request: Request, limits: Limits) -> list[Event]:
    """Return the events of the batch that `request` holds, which then has no body any more.

    Raises:
        RequestError: it holds none, or a limit is exceeded; or it is compressed, and so would hold more than it is counted.
    """
    if b"content-encoding" in request.headers:
        raise RequestError(415, "a batch is taken as it is, not compressed; send it so, or its events one by one")
    events, request.body = structured.read_batch(request.body, limits), b""
    return events


def write_one(event: Event, mode: Mode) -> Response:
    """Return the answer that is `event`."""
    if mode is Mode.STRUCTURED:
        return Response(200, structured.write_one(event), structured.STRUCTURED.encode())
    media_type = event.get(TYPE) or "application/json"
    headers = tuple([(name.encode(), value.encode()) for name, value in headers_of(event).items()])
    return Response(200, bytes(event.data or b""), media_type.encode(), headers)


def write_batch(events: Iterable[Event]) -> Response:
    """Return the answer that is a list of `events`."""
    return Response(200, structured.write_batch(events), structured.BATCH.encode())


def headers_of(event: Event) -> dict[str, str]:
    """Return the attributes of `event` as header fields, printable ASCII; the type of its data is not among them."""
    attributes = event.attributes
    plain = _PLAIN.fullmatch("".join(attributes.values()))  # at once: most are
    return {
        f"ce-{name}": value if plain else quote(value, safe=_SAFE) for name, value in attributes.items() if name != TYPE
    }


@lru_cache(maxsize=KNOWN)
def _name(header: bytes) -> str:
    text = header[len(PREFIX) :].decode("latin-1")
    if text == TYPE:
        raise RequestError(400, f"not a CloudEvent: the header 'ce-{TYPE}'; in HTTP that is Content-Type")
    return text


def _value(name: bytes, value: bytes) -> str:
    """Return the text of a header field: without quotation marks around it, and with its escapes read once."""
    if len(value) > 1 and value[:1] == value[-1:] == b'"':
        value = re.sub(rb"\\(.)", rb"\1", value[1:-1])
    try:
        if b"%" in value:
            value = _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), value)
        return value.decode()
    except (TypeError, UnicodeDecodeError) as exc:
        raise RequestError(
            400, f"not a CloudEvent: the header {name.decode('latin-1')!r} is not percent-encoded UTF-8"
        ) from exc
