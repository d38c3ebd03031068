"""What the headers of a record say, as header fields of HTTP, and the other way.

Source: CloudEvents, bindings/kafka-protocol-binding.md, section 3.2.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEY = b"ce-partitionkey"
NAMES = 100
"""How many names of headers are remembered as the others write them."""
_SAFE = " !#$&'()*+,-./:;<=>?@[]_{|}~"
_PLAIN = re.compile(rb"[a-zA-Z0-9" + re.escape(_SAFE).encode() + rb"]*")
"""What stands for itself."""


def headers_of(record: Any) -> Mapping[bytes, bytes]:
    """Return the header fields that say what the record's do; they are percent-encoded, those are not.

    The record's key is the partition key, where no header says another.
    """
    found = {_field(name): value or b"" for name, value in record.headers}
    if _KEY not in found and record.key and _is_text(record.key):
        found[_KEY] = record.key
    if _PLAIN.fullmatch(b"".join(found.values())):  # at once: most are
        return found
    return {name: _encoded(value) if name.startswith(b"ce-") else value for name, value in found.items()}


def record_headers(headers: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """Return the headers of a record that say what these header fields do."""
    return [(_header(name), (unquote(value) if "%" in value else value).encode()) for name, value in headers.items()]


@lru_cache(NAMES)
def _field(name: str) -> bytes:
    return (f"ce-{name[3:]}" if name.lower().startswith("ce_") else name.lower()).encode()


@lru_cache(NAMES)
def _header(name: str) -> str:
    return "content-type" if name == "ce-datacontenttype" else name.replace("ce-", "ce_", 1)


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _encoded(value: bytes) -> bytes:
    return value if _PLAIN.fullmatch(value) else quote(value, safe=_SAFE).encode()
