"""JSON files that people can read and that have the same bytes every time."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from modelyard.errors import DataError
from modelyard.files.atomic import write_all

T = TypeVar("T")

_READ_BYTES = 2**14
"""More than most records have."""


def write_json(path: Path, value: object) -> None:
    """Write `value` as JSON with sorted keys, two-space indent and a final newline: the same bytes every time."""
    write_bytes(path, as_json(value))


def as_json(value: object) -> bytes:
    """Return `value` as `write_json` writes it."""
    return msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=2) + b"\n"


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a small file; like `read_bytes` without a file object.

    Raises:
        OSError: it cannot be written, or not whole.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


def read_bytes(path: str | Path) -> bytes:
    """Return the bytes of a small file; Python's file objects take three times as long, which counts for each stage.

    Raises:
        OSError: it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return read_all(descriptor)
    finally:
        os.close(descriptor)


def read_all(descriptor: int) -> bytes:
    """Return the bytes of a small file that is open.

    Raises:
        OSError: it cannot be read.
    """
    parts = [os.read(descriptor, _READ_BYTES)]
    while parts[-1]:
        parts.append(os.read(descriptor, _READ_BYTES))
    return b"".join(parts)


def prepare(kinds: Iterable[type]) -> None:
    """Find out now how JSON is read as each of `kinds`: up to a millisecond, which processes forked from this one then save.

    msgspec keeps it with the class.
    """
    for kind in kinds:
        msgspec.json.Decoder(kind)


def decode(data: bytes, kind: type[T]) -> T:
    """Return the `kind` that the JSON `data` holds.

    Raises:
        ValueError: it is not JSON, or holds something else, or is nested more deeply than any record of modelyard's.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except RecursionError as exc:
        msg = "it is nested too deeply"
        raise ValueError(msg) from exc


def find_json(path: str | Path, kind: type[T]) -> T | None:
    """Return the `kind` that the JSON file `path` holds, or None if it is missing or damaged."""
    try:
        return decode(read_bytes(path), kind)
    except (OSError, ValueError):  # msgspec's errors, and text that is not UTF-8
        return None


def read_json(path: Path, kind: type[T]) -> T:
    """Read the JSON file `path` as a `kind`.

    Raises:
        DataError: the file is missing, is not JSON, or does not hold a `kind`.
    """
    try:
        return decode(read_bytes(path), kind)
    except (OSError, ValueError) as exc:  # msgspec's errors, and text that is not UTF-8
        msg = f"{path}: cannot be read as {kind.__name__}: {exc}\n  build the stage that wrote it again"
        raise DataError(msg) from exc
