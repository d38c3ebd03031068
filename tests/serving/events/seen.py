"""What is sent to a server by a broker, and what is seen of the server then."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from tests.serving.conftest import Running
    from tests.serving.events.brokers.broker import Message

LONG = bool(os.environ.get("MODELYARD_TEST_LONG_EVENTS"))
"""Whether what is killed is killed at many instants, and what is sent is as much as it takes to trust a memory."""


def bodies_of(raw: np.ndarray, count: int) -> list[bytes]:
    return [raw[number % len(raw)].tobytes() for number in range(count)]


def assert_all_answered(answers: Sequence[Message], count: int) -> None:
    """Every event has an answer, and where it has two, they are one: they have the same id."""
    ids: dict[str, set[str]] = {}
    for answer in answers:
        ids.setdefault(answer.cause, set()).add(answer.headers["ce-id"])
    assert sorted(map(int, ids)) == list(range(count))
    assert {len(one) for one in ids.values()} == {1}


def metrics_of(server: Running, *wanted: str) -> str:
    """Return the server's metrics, once they have these lines: what is confirmed is counted a moment later."""
    end = time.monotonic() + (120 if LONG else 30)
    with server.client() as client:
        while True:
            told = client.get("/metrics").text
            if all(line in told for line in wanted):
                return told
            assert time.monotonic() < end, told
            time.sleep(0.02)


def event_lines(server: Running, least: int) -> list[dict[str, Any]]:
    """Return the lines of the log that are about events, once these are `least`: they are written many at once."""
    end = time.monotonic() + 10
    while len(found := [line for line in server.logs if line["event"] == "event"]) < least:
        assert time.monotonic() < end, found
        time.sleep(0.02)
    return found


def resident_mb(server: Running) -> float:
    with open(f"/proc/{server.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024
