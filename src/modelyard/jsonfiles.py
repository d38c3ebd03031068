"""JSON files that people can read and that have the same bytes every time."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from modelyard.errors import DataError

T = TypeVar("T")


def write_json(path: Path, value: object) -> None:
    """Write `value` as JSON with sorted keys, two-space indent and a final newline: the same bytes every time."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=2) + b"\n")


def read_json(path: Path, kind: type[T]) -> T:
    """Read the JSON file `path` as a `kind`.

    Raises:
        DataError: the file is missing, is not JSON, or does not hold a `kind`.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, ValueError) as exc:  # msgspec's errors, and text that is not UTF-8
        msg = f"{path}: cannot be read as {kind.__name__}: {exc}"
        raise DataError(msg) from exc
