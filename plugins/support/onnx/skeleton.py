"""An ONNX file without the content of its weights: all that most questions are about, of a file that may be 2 GB large.

Source: Protocol Buffers, encoding of the wire format; field numbers: onnx.proto3.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_CONTENT = dict.fromkeys((4, 5, 6, 7, 9, 10, 11))
"""Fields of TensorProto: float_data, int32_data, string_data, int64_data, raw_data, double_data, uint64_data."""
_MODEL = {7: {5: _CONTENT}}
"""ModelProto.graph, GraphProto.initializer."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_skeleton(path: Path) -> bytes:
    """Return the ModelProto in the file `path`, serialized, whose graph's weights have names, types and shapes alone.

    Raises:
        OSError: it cannot be read.
        ValueError: it is cut, or no message of Protocol Buffers.
    """
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as data,
    ):
        return bytes(_without(data, 0, len(data), _MODEL))


def _without(data: memoryview, start: int, end: int, rules: Mapping[int, object]) -> bytearray:
    """Return the message in `data[start:end]` without the fields for which `rules` has None; for a mapping, without those in them."""
    kept = bytearray()
    for number, kind, begin, content, stop in _fields(data, start, end):
        rule = rules.get(number, ...)
        if isinstance(rule, dict) and kind == _BYTES:
            inner = _without(data, content, stop, rule)
            kept += _varint(number << 3 | _BYTES) + _varint(len(inner)) + inner
        elif rule is not None:
            kept += data[begin:stop]
    return kept


def _fields(data: memoryview, at: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield number and wire type of each field of a message, and where it begins, its content begins, and it ends."""
    while at < end:
        begin = at
        key, at = _read_varint(data, at, end)
        kind = key & 7
        content = at
        if kind == _VARINT:
            _, at = _read_varint(data, at, end)
        elif kind == _BYTES:
            length, content = _read_varint(data, at, end)
            at = content + length
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        else:
            msg = f"no field begins at byte {begin}"
            raise ValueError(msg)
        if at > end:
            msg = f"the field at byte {begin} is cut"
            raise ValueError(msg)
        yield key >> 3, kind, begin, content, at


def _read_varint(data: memoryview, at: int, end: int) -> tuple[int, int]:
    """Return the number that begins at byte `at`, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    msg = f"the number before byte {at} is cut"
    raise ValueError(msg)


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])
