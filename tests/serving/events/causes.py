"""An event that asks something, to be made of what a test needs."""

from __future__ import annotations

from typing import Any

from modelyard.serving.events.event import NO_DOCUMENT, Event


def cause(data: bytes | None = None, document: Any = NO_DOCUMENT, **attributes: str) -> Event:
    known = {"specversion": "1.0", "id": "17", "source": "/camera/3", "type": "com.example.picture"}
    return Event(known | attributes, data, document)
