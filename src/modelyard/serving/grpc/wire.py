"""Protobuf's wire format: reading a message without making an object of every value, and writing one.

Source: protobuf.dev, "Encoding".
"""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

MOST_FIELDS = 4096
"""Fields that a message may hold. A packed list of numbers is one field, so none that a client needs has nearly as many."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIZES = {_FIXED64: 8, _FIXED32: 4}
_LONGEST = 10
"""Bytes of the longest varint, that of a negative number."""
_AT_ONCE = 64 * 1024
"""Bytes of packed varints that are converted at a time: what that takes meanwhile is 40 times as much."""


class Message:
    """The fields of a message, by number; those of another type than is asked for count as unknown, as protobuf has it."""

    __slots__ = ("_found",)

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        """Read the fields' places.

        Raises:
            RequestError: it is no message, or holds very many fields.
        """
        self._found: dict[int, list[Any]] = {}
        for count, (tag, value) in enumerate(_fields(memoryview(data))):
            if count >= MOST_FIELDS:
                raise RequestError(
                    400, f"a message holds more than {MOST_FIELDS} fields; write lists of numbers packed"
                )
            self._found.setdefault(tag, []).append(value)

    def every(self, number: int) -> list[memoryview]:
        """Return the bytes of each occurrence of a field of bytes, text or messages."""
        return self._found.get(number << 3 | _BYTES, [])

    def last(self, number: int) -> memoryview | None:
        """Return the bytes of a field that comes once; of several, the last counts."""
        found = self.every(number)
        return found[-1] if found else None

    def text(self, number: int) -> str:
        """Return a field's text, empty if there is none.

        Raises:
            RequestError: it is not UTF-8.
        """
        data = self.last(number)
        try:
            return "" if data is None else str(data, "utf-8")
        except UnicodeDecodeError as exc:
            raise RequestError(400, f"field {number} of a message is not UTF-8 text") from exc

    def message(self, number: int) -> Message | None:
        """Return a field's message, or None."""
        data = self.last(number)
        return None if data is None else Message(data)

    def whole(self, number: int) -> int | None:
        """Return a field's number, unsigned as it is on the wire, or None."""
        found = self._found.get(number << 3 | _VARINT)
        return found[-1] if found else None

    def float64(self, number: int) -> float | None:
        """Return a field's double, or None."""
        found = self._found.get(number << 3 | _FIXED64)
        return float(np.frombuffer(found[-1], "<f8")[0]) if found else None

    def whole_numbers(self, number: int) -> list[int]:
        """Return a list of int64, packed or not."""
        packed = [value for data in self.every(number) for value in _varints(data)]
        return [signed(value) for value in [*packed, *self._found.get(number << 3 | _VARINT, [])]]

    def packed(self, number: int, kind: str) -> memoryview:
        """Return a list's bytes: varints for the kinds `i` and `u`, else little-endian floats of 4 or 8 bytes, `f4`, `f8`.

        Raises:
            RequestError: the list is in several pieces, or a number of it is varints that are not packed.
        """
        pieces = self.every(number)
        alone = self._found.get(number << 3 | {"f4": _FIXED32, "f8": _FIXED64}.get(kind, _VARINT), [])
        if len(pieces) + len(alone) > 1:
            if pieces:
                raise RequestError(
                    400, f"field {number}, a list of numbers, comes in several pieces; write it packed in one"
                )
            return memoryview(b"".join(map(_varint, alone) if kind in "iu" else alone))
        if alone:
            return memoryview(_varint(alone[0]) if kind in "iu" else alone[0])
        return pieces[0] if pieces else memoryview(b"")


def count(packed: memoryview) -> int:
    """Return how many varints there are in `packed`."""
    return int(np.count_nonzero(np.frombuffer(packed, np.uint8) < 0x80))


def integers(packed: memoryview, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return packed varints as an array of `dtype`, a kind of integer or bool.

    Raises:
        RequestError: a number is cut short, or is none of that dtype.
    """
    data = np.frombuffer(packed, np.uint8)
    if not data.size or data.max() < 0x80:
        return _narrow(data.astype(np.uint64), dtype)
    if data[-1] >= 0x80:
        raise RequestError(400, "a packed list of numbers is cut short")
    out, at, place = np.empty(count(packed), dtype), 0, 0
    while at < data.size:
        piece = data[at : at + _AT_ONCE]
        ends = np.flatnonzero(piece < 0x80)
        if not ends.size:
            raise RequestError(400, "a packed number is longer than 10 bytes")
        values = _narrow(_joined(piece, ends), dtype)
        out[place : place + ends.size] = values
        place, at = place + ends.size, at + int(ends[-1]) + 1
    return out


def packed_integers(array: NDArray[Any]) -> bytes:
    """Return an array of integers or truth values as packed varints."""
    values = array.ravel().astype(np.int64 if array.dtype.kind == "i" else np.uint64).view(np.uint64)
    if not values.size or values.max() < 0x80:
        return values.astype(np.uint8).tobytes()
    pieces = (values[at : at + _AT_ONCE] for at in range(0, values.size, _AT_ONCE))
    return b"".join(map(_split, pieces))


def _split(values: NDArray[np.uint64]) -> bytes:
    shifts = np.arange(_LONGEST, dtype=np.uint64) * np.uint64(7)
    groups = values[:, None] >> shifts
    data = (groups & np.uint64(0x7F)).astype(np.uint8)
    more = (groups[:, 1:] != 0).astype(np.uint8)
    data[:, :-1] |= more << 7
    kept = np.ones(data.shape, bool)
    kept[:, 1:] = more
    return data[kept].tobytes()


def _joined(data: NDArray[np.uint8], ends: NDArray[np.intp]) -> NDArray[np.uint64]:
    """Return the varints in `data` whose last bytes are at `ends`."""
    starts = np.concatenate(([0], ends[:-1] + 1))
    sizes = ends - starts + 1
    longest = int(sizes.max())
    if longest > _LONGEST:
        raise RequestError(400, "a packed number is longer than 10 bytes")
    values = np.zeros(ends.size, np.uint64)
    for place in range(longest):
        has = sizes > place
        values[has] |= (data[starts[has] + place] & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * place)
    return values


def _narrow(values: NDArray[np.uint64], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind == "i":
        values = values.view(np.int64)
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if values.size and dtype.itemsize < 8 and (int(values.min()) < low or int(values.max()) > high):
        wrong = (
            values[(values < low) | (values > high)][0] if dtype.kind == "i" else values[values > np.uint64(high)][0]
        )
        raise RequestError(400, f"the number {wrong} is no {dtype.name}")
    return values.astype(dtype)


def signed(value: int) -> int:
    """Return the int64 that is `value` on the wire."""
    return value - (1 << 64) if value >= 1 << 63 else value


def blob(number: int, data: bytes) -> bytes:
    """Return a field of bytes, or of a message, even if it is empty."""
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def text(number: int, value: str) -> bytes:
    """Return a field of text; nothing if it is empty, as proto3 has it."""
    return blob(number, value.encode("utf-8", "replace")) if value else b""


def whole(number: int, value: int) -> bytes:
    """Return a field of an integer, bool or enum; nothing for 0, as proto3 has it."""
    return _varint(number << 3) + _varint(value) if value else b""


def whole_numbers(number: int, values: Iterable[int]) -> bytes:
    """Return a field of packed int64."""
    return blob(number, b"".join(map(_varint, values)))


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varints(data: memoryview) -> Iterator[int]:
    if len(data) > MOST_FIELDS:
        raise RequestError(400, f"a message holds more than {MOST_FIELDS} numbers where a few are expected")
    at = 0
    while at < len(data):
        value, at = _read_varint(data, at)
        yield value


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return the varint at `at`, and the place behind it."""
    value = shift = 0
    for place in range(at, min(at + _LONGEST, len(data))):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, place + 1
        shift += 7
    raise RequestError(400, "not a protobuf message: it is cut short, or a number in it is longer than 10 bytes")


def _fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    """Yield each field's tag and value: a number for varints, else its bytes."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _read_varint(data, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _read_varint(data, at)
            yield tag, value
            continue
        if kind == _BYTES:
            size, at = _read_varint(data, at)
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:
            raise RequestError(400, f"not a protobuf message: a field of type {kind}")
        if size > end - at:
            raise RequestError(400, "not a protobuf message: it is cut short")
        yield tag, data[at : at + size]
        at += size
