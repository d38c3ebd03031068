"""Lines of the log: one JSON object each, in order, in pieces that a pipe takes whole."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from modelyard.serving import logs
from modelyard.serving.logs import PIPE_BYTES, JsonFormatter, RequestLog


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def restored() -> Iterator[None]:
    """Lets `configure` change the root logger for a while."""
    root, own = logging.getLogger(), logging.getLogger("asyncio")
    before = root.handlers[:], root.level, own.level
    root.handlers.clear()  # pytest's are not to be closed
    yield
    root.handlers[:], root.level, own.level = before


def written(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def record(**changes: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": "reloaded %s", "args": ("now",), "levelname": "INFO", **changes})


def test_a_record_is_an_object_of_its_own_fields() -> None:
    line = JsonFormatter().format(record(created=1.5, fields={"what": "password", "file": Path("a")}))

    assert json.loads(line) == {
        "time": "1970-01-01T00:00:01.500+00:00",
        "level": "info",
        "event": "reloaded now",
        "what": "password",
        "file": "a",
    }


def test_a_failure_has_its_traceback_on_the_same_line() -> None:
    try:
        int("of two\nlines")
    except ValueError:
        line = JsonFormatter().format(record(exc_info=sys.exc_info()))

    assert "\n" not in line
    assert json.loads(line)["traceback"].endswith("base 10: 'of two\\nlines'\n")


@pytest.mark.usefixtures("restored")
def test_a_level_is_the_least_that_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug")
    logging.getLogger("asyncio").debug("Using selector: EpollSelector")
    assert written(capfd) == [], "of how it works, nothing"
    logs.configure("warning")
    logs.log(logging.INFO, "listening", port=1)
    logs.log(logging.WARNING, "connections", limit=2)
    logging.getLogger("other").error("failed")

    assert [(line["level"], line["event"], line.get("limit")) for line in written(capfd)] == [
        ("warning", "connections", 2),
        ("error", "failed", None),
    ]


@pytest.mark.usefixtures("restored")
def test_requests_are_written_before_what_happened_after_them(
    capfd: pytest.CaptureFixture[str], loop: asyncio.AbstractEventLoop
) -> None:
    logs.configure("info")
    logs.requests.add(loop, "info", {"path": "/v2"})
    logs.log(logging.INFO, "stopped")

    assert [line["event"] for line in written(capfd)] == ["request", "stopped"]


def test_the_line_of_a_request_waits_for_others_and_they_are_written_together(
    capfd: pytest.CaptureFixture[str], loop: asyncio.AbstractEventLoop
) -> None:
    log = RequestLog()
    before = datetime.now(UTC)
    log.add(loop, "info", {"path": "/a"})
    log.add(loop, "debug", {"path": "/b"}, "consumed")
    assert capfd.readouterr().out == ""

    loop.call_later(2 * logs.FLUSH_S, loop.stop)
    loop.run_forever()

    first, second = written(capfd)
    assert (first["level"], first["event"], first["path"]) == ("info", "request", "/a")
    assert (second["level"], second["event"], second["path"]) == ("debug", "consumed", "/b")
    assert abs((datetime.fromisoformat(first["time"]) - before).total_seconds()) < 5
    log.flush()
    assert capfd.readouterr().out == ""


def test_one_line_alone_is_written_soon_with_its_time(
    capfd: pytest.CaptureFixture[str], loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RequestLog()
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: 1_700_000_000.98765)
        log.add(loop, "info", {"path": "/a"})
    loop.call_later(2 * logs.FLUSH_S, loop.stop)
    loop.run_forever()

    assert [line["time"] for line in written(capfd)] == ["2023-11-14T22:13:20.987+00:00"]


def test_no_piece_is_larger_than_a_pipe_takes_whole_unless_one_line_is(
    monkeypatch: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop
) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)  # keeps what is written at a time apart
    log, head = (
        RequestLog(),
        len(b'{"time":"2026-11-30T01:00:00.000+00:00","level":"info","event":"request","path":""}\n'),
    )
    sizes = [*([PIPE_BYTES // 4 - head] * 9), 2 * PIPE_BYTES, 10]
    with ours, theirs, open(ours.fileno(), "w", closefd=False) as stdout, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", stdout)
        for number, size in enumerate(sizes):
            log.add(loop, "info", {"path": str(number).ljust(size)})
        log.flush()
        pieces = [theirs.recv(1 << 16) for _ in range(5)]

    assert all(len(piece) <= PIPE_BYTES or piece.count(b"\n") == 1 for piece in pieces)
    assert [piece.count(b"\n") for piece in pieces] == [4, 4, 1, 1, 1]
    assert [int(json.loads(line)["path"]) for line in b"".join(pieces).splitlines()] == list(range(len(sizes)))


def test_a_pipe_that_takes_a_part_gets_the_rest_and_one_that_is_closed_harms_nobody(
    monkeypatch: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop
) -> None:
    reads, writes = os.pipe()
    own, log = os.write, RequestLog()
    with open(writes, "w") as stdout, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", stdout)
        patched.setattr(os, "write", lambda to, data: own(to, data[:7]))
        log.add(loop, "info", {"path": "/v2"})
        stdout.write("said before\n")
        log.flush()
        before, line = os.read(reads, PIPE_BYTES).splitlines()
        assert (before, json.loads(line)["path"]) == (b"said before", "/v2")

        os.close(reads)
        log.add(loop, "info", {"path": "/v2"})
        log.flush()
