"""The blocks of headers that a client sends: put together of their frames, and decompressed.

Source: RFC 9113, 4.3 and 6.10; RFC 7541.
"""

from __future__ import annotations

from typing import cast

import hpack

from .frames import Broken, Reason


class HeaderBlocks:
    """Reads the blocks of a connection, one after the other: nothing may stand between the frames of one.

    Attributes:
        stream: the number of the stream whose block has begun; None: no block has.
        ends: whether the client sends nothing more on that stream behind the block.
    """

    def __init__(self, limit: int) -> None:
        self.stream: int | None = None
        self.ends = False
        self._limit, self._block = limit, bytearray()
        self._decoder = hpack.Decoder(max_header_list_size=limit)

    def begin(self, stream: int, *, ends: bool) -> None:
        """Begin a block."""
        self.stream, self.ends = stream, ends

    def add(self, piece: bytes, *, last: bool) -> list[tuple[bytes, bytes]] | None:
        """Add a frame's piece of the block; return the fields once it was the last.

        Raises:
            Broken: no block has begun, it is larger than allowed, or it cannot be read.
        """
        if self.stream is None:
            raise Broken(Reason.PROTOCOL_ERROR, "headers go on that have not begun")
        self._block += piece
        if len(self._block) > self._limit:
            raise self._too_large()
        if not last:
            return None
        block, self._block, self.stream = bytes(self._block), bytearray(), None
        return self._decode(block)

    def _decode(self, block: bytes) -> list[tuple[bytes, bytes]]:
        try:
            return cast("list[tuple[bytes, bytes]]", self._decoder.decode(block, raw=True))
        except hpack.OversizedHeaderListError as exc:
            raise self._too_large() from exc
        except (hpack.HPACKError, IndexError, ValueError) as exc:
            raise Broken(Reason.COMPRESSION_ERROR, "headers cannot be read") from exc

    def _too_large(self) -> Broken:
        return Broken(Reason.ENHANCE_YOUR_CALM, f"headers are larger than {self._limit} bytes")


def by_name(fields: list[tuple[bytes, bytes]]) -> tuple[dict[bytes, bytes], frozenset[bytes]]:
    """Return header fields by name, and the names that came more than once."""
    headers = dict(fields)
    if len(headers) == len(fields):
        return headers, frozenset()
    names = [name for name, _ in fields]
    return headers, frozenset(name for name in headers if names.count(name) > 1)


def is_request(fields: list[tuple[bytes, bytes]]) -> bool:
    """Return whether header fields begin a call: those behind its message have no pseudo-fields, such as `:path`."""
    return any(name.startswith(b":") for name, _ in fields)
