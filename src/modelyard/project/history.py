"""A stage's earlier results: a line of JSON each, in the order in which they became the stage's artifact.

Lines are only ever added, in one write each. A line that a crash tore is skipped when reading and ended
before the next one is written. A file that grew too long loses its older half.
"""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.files.atomic import open_in_folder, replacing
from modelyard.files.json import decode

if TYPE_CHECKING:
    from pathlib import Path

    from modelyard.store.record import Record

LIMIT_BYTES = 2**20
"""Some 1,000 results of a typical stage."""
_METRICS_BYTES = 4096
"""Metrics longer than this lose all but their plain numbers and texts."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One result.

    Attributes:
        how: `built`, `restored` from the store, or `accepted` by a person for new code.
        when: when it became the stage's artifact, ISO 8601 with time zone.
        key: the action key.
        digest: the digest of its outputs.
        parts: all that the key was made of, by name.
        metrics: numbers that the stage reported.
        duration_s: how long its work took when it was built, in seconds.
        git: the commit it was built at, with `+` behind it if the tree was not clean.
        made_on: the machine that made it, see `record.Record`.
    """

    how: str
    when: str
    key: str
    digest: str
    parts: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    duration_s: float = 0.0
    git: str = ""
    made_on: str = ""


class History:
    """The results of one stage, in the file `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, record: Record, how: str) -> None:
        """Add a line for `record`; the stage's lock must be held. A history that cannot be written stops no build."""
        line = msgspec.json.encode(entry_of(record, how, _now())) + b"\n"
        with contextlib.suppress(OSError):
            if _append(self._path, line) > LIMIT_BYTES:
                self._halve()

    def entries(self) -> list[Entry]:
        """Return the results, the oldest first."""
        try:
            lines = self._path.read_bytes().splitlines()
        except OSError:
            return []
        return [entry for line in lines if (entry := _decode(line)) is not None]

    def durations(self, last: int = 5) -> list[float]:
        """Return how long the last few builds took, in seconds."""
        return [entry.duration_s for entry in self.entries() if entry.how == "built"][-last:]

    def _halve(self) -> None:
        lines = self._path.read_bytes().splitlines(keepends=True)
        with replacing(self._path) as draft:
            draft.write_bytes(b"".join(lines[len(lines) // 2 :]))


def entry_of(record: Record, how: str, when: str) -> Entry:
    """Return the line that stands for `record`."""
    return Entry(
        how=how,
        when=when,
        key=record.key,
        digest=record.digest,
        parts=record.parts,
        metrics=_bounded(record.metrics),
        duration_s=record.duration_s,
        git=record.git,
        made_on=record.made_on,
    )


def _bounded(metrics: dict[str, Any]) -> dict[str, Any]:
    if len(msgspec.json.encode(metrics)) <= _METRICS_BYTES:
        return metrics
    return {name: value for name, value in metrics.items() if isinstance(value, int | float) or len(str(value)) < 100}


def _append(path: Path, line: bytes) -> int:
    """Add `line` in one write, behind a line end if the last line was torn; return the file's size in bytes."""
    descriptor = open_in_folder(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        os.write(descriptor, line)
        return size + len(line)
    finally:
        os.close(descriptor)


def _decode(line: bytes) -> Entry | None:
    try:
        return decode(line, Entry)
    except msgspec.MsgspecError:
        return None


def _now() -> str:
    return datetime.now(UTC).astimezone().isoformat(timespec="seconds")
