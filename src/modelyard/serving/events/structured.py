"""Events as JSON: one, or a batch.

Source: CloudEvents 1.0.2, formats/json-format.md.
"""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import base64
import binascii
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from ..body import parse_json
from ..errors import RequestError
from .event import NO_DOCUMENT, REQUIRED, Event, checked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..limits import Limits

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
_DATA, _DATA_BASE64 = "data", "data_base64"
_INT32 = 1 << 31
_TEXTS = (*REQUIRED, "subject", "time", "datacontenttype", "dataschema")
"""Attributes that are text; an extension may also be a number or a truth value."""


def read_one(body: bytes | bytearray, limits: Limits) -> Event:
    """Return the event that is the JSON text `body`.

    Raises:
        RequestError: it is none, or its values would take too much memory.
    """
    return _event(_parsed(body, limits))


def read_batch(body: bytes | bytearray, limits: Limits) -> list[Event]:
    """Return the events in the JSON text `body`, a list; their data is text, for as values it takes many times the room.

    Raises:
        RequestError: one of them is none; a batch is taken whole, or not at all.
    """
    values = _parsed(body, limits)
    if not isinstance(values, list):
        raise RequestError(400, "not a CloudEvent: a batch is a JSON list of events")
    return [_event(value, f"event {number}: ").packed() for number, value in enumerate(values)]


def write_one(event: Event) -> bytes:
    """Return `event`, whose data is JSON, as JSON text."""
    return orjson.dumps(_object(event))


def write_batch(events: Iterable[Event]) -> bytes:
    """Return `events`, whose data is JSON, as a JSON list."""
    return orjson.dumps([_object(event) for event in events])


@lru_cache(maxsize=64)
def is_json(media_type: str) -> bool:
    """Return whether data of `media_type` is JSON; without a type, it is."""
    kind = media_type.partition(";")[0].strip().lower()
    return kind in ("", "application/json", "text/json") or kind.endswith("+json")


def _parsed(body: bytes | bytearray, limits: Limits) -> Any:
    try:
        return parse_json(body, limits)
    except ValueError as exc:
        raise RequestError(400, f"not a CloudEvent: not JSON: {exc}") from exc


def _event(value: Any, where: str = "") -> Event:
    if not isinstance(value, dict):
        raise RequestError(400, f"not a CloudEvent: {where}an event is a JSON object")
    attributes = {
        name: _text(name, one, where)
        for name, one in value.items()
        if one is not None and name not in (_DATA, _DATA_BASE64)
    }
    data, document = _data(value, attributes.get("datacontenttype", ""), where)
    return Event(checked(attributes), data, document)


def _text(name: str, value: Any, where: str) -> str:
    if isinstance(value, str):
        return value
    if name in _TEXTS:
        raise RequestError(400, f"not a CloudEvent: {where}attribute {name!r} is not text")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and -_INT32 <= value < _INT32:
        return str(value)
    raise RequestError(
        400,
        f"not a CloudEvent: {where}attribute {name[:100]!r} is neither text, nor a whole number of 32 bits, nor true or false",
    )


def _data(value: dict[str, Any], media_type: str, where: str) -> tuple[bytes | None, Any]:
    """Return the data as bytes, or as a JSON value."""
    data, text = value.get(_DATA), value.get(_DATA_BASE64)
    if text is not None:
        if data is not None:
            raise RequestError(400, f"not a CloudEvent: {where}it has both {_DATA!r} and {_DATA_BASE64!r}")
        return _bytes(text, where), NO_DOCUMENT
    if data is None:
        return None, NO_DOCUMENT
    if is_json(media_type):
        return None, data
    if not isinstance(data, str):
        raise RequestError(
            400, f"not a CloudEvent: {where}data of type {media_type[:100]!r} is text, or stands in {_DATA_BASE64!r}"
        )
    return data.encode(), NO_DOCUMENT


def _bytes(text: Any, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError) as exc:
        raise RequestError(400, f"not a CloudEvent: {where}{_DATA_BASE64!r} is not base64") from exc


def _object(event: Event) -> dict[str, Any]:
    data = {} if event.data is None else {_DATA: orjson.Fragment(bytes(event.data))}
    return {**event.attributes, **data}
