"""Logs as JSON, one object a line, on standard output."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterable, Iterator

logger = logging.getLogger("modelyard.serving")

FLUSH_S = 0.05
"""How long the line of a request may wait for others, so that one write takes them all."""
PIPE_BYTES = 4096
"""What a pipe takes as a whole, so that the lines of several processes do not mix. Source: POSIX, PIPE_BUF."""


class JsonFormatter(logging.Formatter):
    """Writes a record as `{"time": ..., "level": ..., "event": ..., ...}`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return `record` as one line of JSON."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return orjson.dumps(line, default=str).decode()


def configure(level: str) -> None:
    """Send every log record of `level` and above to standard output, as JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def log(level: int, event: str, **fields: object) -> None:
    """Log `event` with `fields`; never a header, a body or a secret."""
    requests.flush()
    logger.log(level, event, extra={"fields": fields})


class RequestLog:
    """The line of each request, and event of a broker: it goes round `logging`, and many are made and written at once."""

    def __init__(self) -> None:
        self._noted: list[tuple[float, str, str, dict[str, object]]] = []

    def add(self, loop: AbstractEventLoop, level: str, fields: dict[str, object], event: str = "request") -> None:
        """Write the line of a request, or of an `event` of that name, within `FLUSH_S` seconds."""
        if not self._noted:
            loop.call_later(FLUSH_S, self.flush)
        self._noted.append((time.time(), level, event, fields))

    def flush(self) -> None:
        """Write what is there."""
        noted, self._noted = self._noted, []
        piece = b""
        for line in _lines(noted):
            if len(piece) + len(line) > PIPE_BYTES:
                _write(piece)
                piece = b""
            piece += line
        if piece:
            _write(piece)


def _lines(noted: Iterable[tuple[float, str, str, dict[str, object]]]) -> Iterator[bytes]:
    second, text = 0, ""
    for when, level, event, fields in noted:
        if int(when) != second:
            second = int(when)
            text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        at = f"{text}.{int((when - second) * 1000):03d}+00:00"
        yield orjson.dumps({"time": at, "level": level, "event": event, **fields}, option=orjson.OPT_APPEND_NEWLINE)


def _write(data: bytes) -> None:
    with contextlib.suppress(OSError):  # nobody reads any more
        sys.stdout.flush()
        while data:
            data = data[os.write(sys.stdout.fileno(), data) :]


requests = RequestLog()
