"""What the headers of a record say, as header fields of HTTP, and the other way.

Source: CloudEvents, bindings/kafka-protocol-binding.md, section 3.2.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping


def headers_of(record: Any) -> Mapping[bytes, bytes]:
    """Return the header fields that say what the record's do; they are percent-encoded, those are not.

    The record's key is the partition key, where no header says another.
    """
    found: dict[bytes, bytes] = {}
    with contextlib.suppress(UnicodeDecodeError):
        if record.key and record.key.decode():
            found[b"ce-partitionkey"] = _encoded(record.key)
    for name, value in record.headers:
        field = f"ce-{name[3:]}" if name.lower().startswith("ce_") else name.lower()
        found[field.encode()] = _encoded(value or b"") if field.startswith("ce-") else value or b""
    return found


def record_headers(headers: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """Return the headers of a record that say what these header fields do."""
    names = {"ce-datacontenttype": "content-type"}
    return [
        (names.get(name) or name.replace("ce-", "ce_", 1), unquote(value).encode()) for name, value in headers.items()
    ]


def _encoded(value: bytes) -> bytes:
    return quote(value, safe=" !#$&'()*+,-./:;<=>?@[]_{|}~").encode()
