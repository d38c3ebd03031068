"""An event: its attributes, its data, and what both must be.

Source: CloudEvents 1.0.2, spec.md.
"""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from ..errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = "1.0"
REQUIRED = ("specversion", "id", "source", "type")
NO_DOCUMENT = object()
"""In place of a document: the data is bytes, or there is none."""

_NAME = re.compile(r"[a-z0-9]+")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_TIMES = ("time", "expirytime", "recordedtime")
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Event:
    """A CloudEvent.

    Attributes:
        attributes: by name, as text; whole numbers and truth values in their canonical form.
        data: the data as bytes; None: there is none, or it is `document`.
        document: the data as a JSON value, where it came as a part of one.
    """

    attributes: Mapping[str, str]
    data: bytes | bytearray | memoryview | None = None
    document: Any = NO_DOCUMENT

    def __getitem__(self, name: str) -> str:
        return self.attributes[name]

    def get(self, name: str) -> str | None:
        """Return the attribute `name`; None: the event has none of that name."""
        return self.attributes.get(name)

    def packed(self) -> Event:
        """Return the event with its data as bytes."""
        return self if self.document is NO_DOCUMENT else Event(self.attributes, orjson.dumps(self.document))

    def age_s(self) -> float | None:
        """Return how long ago it happened, in seconds; None: it does not say when."""
        when = self.get("time")
        return None if when is None else (datetime.now(UTC) - parse_time(when)).total_seconds()

    def has_expired(self) -> bool:
        """Return whether its `expirytime` is past: nobody waits for an answer."""
        end = self.get("expirytime")
        return end is not None and parse_time(end) < datetime.now(UTC)


def checked(attributes: Mapping[str, str]) -> Mapping[str, str]:
    """Return `attributes` if they are those of an event.

    Raises:
        RequestError: 400, one is missing, or is not what it must be.
    """
    for name in REQUIRED:
        if not attributes.get(name):
            raise RequestError(
                400, f"not a CloudEvent: attribute {name!r} is missing or empty; an event has {', '.join(REQUIRED)}"
            )
    if attributes["specversion"] != VERSION:
        raise RequestError(
            400, f"not a CloudEvent: specversion {_cut(attributes['specversion'])}; spoken here: {VERSION!r}"
        )
    for name in attributes:
        if not _is_name(name):
            raise RequestError(
                400,
                f"not a CloudEvent: attribute {_cut(name)}; a name is of lower-case letters and digits, and not 'data'",
            )
    if not "".join(attributes.values()).isprintable():  # most are, and only what is not can be unfit
        _check_characters(attributes)
    for name in _TIMES:
        if name in attributes:
            parse_time(attributes[name], name)
    return attributes


@lru_cache(maxsize=64)
def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and name not in ("data", "database64")


def _check_characters(attributes: Mapping[str, str]) -> None:
    for name, value in attributes.items():
        if unfit := _UNFIT.search(value):
            raise RequestError(400, f"not a CloudEvent: attribute {name!r} holds the character {unfit[0]!r}")


def parse_time(text: str, name: str = "time") -> datetime:
    """Return the time that `text` says, as RFC 3339 writes it.

    Raises:
        RequestError: 400, it is none.
    """
    upper = text.upper()
    if upper[17:19] == "60":  # RFC 3339 has leap seconds, datetime has not
        upper = f"{upper[:17]}59{upper[19:]}"
    try:
        when = datetime.fromisoformat(upper) if _TIME.fullmatch(text) else None
    except ValueError:
        when = None
    if when is None:
        raise RequestError(400, f"not a CloudEvent: attribute {name!r} is {_cut(text)}; allowed: a time of RFC 3339")
    return when


def _cut(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
