"""The connection to a broker: it rests longer and longer, and is made anew once, whoever lost it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.serving.events.quiet import Quiet

from modelyard.serving.events import link
from modelyard.serving.metrics import Board, Metrics


class Refusing(Quiet):
    """A broker that lets nobody in for the first `refusals` times."""

    def __init__(self, refusals: int) -> None:
        self.refusals, self.opened, self.closed = refusals, 0, 0

    async def open(self) -> None:
        self.opened += 1
        if self.opened <= self.refusals:
            msg = f"refused {self.opened}"
            raise ConnectionError(msg)

    async def close(self) -> None:
        self.closed += 1


def tried(refusals: int, step: Callable[[Any, Refusing], Awaitable[None]]) -> Refusing:
    source = Refusing(refusals)

    async def run() -> None:
        await step(link.Link(source, Metrics(Board(), 0, {})), source)

    asyncio.run(run())
    return source


def test_whoever_waits_for_it_has_the_same_one(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "AGAIN_S", 0.01)

    async def step(one: Any, source: Refusing) -> None:
        assert await asyncio.gather(one.opened(), one.opened(), one.opened()) == [1, 1, 1]
        one.lost(1, ConnectionError("gone"))
        one.lost(1, ConnectionError("gone"))  # another task notices later
        assert await one.opened() == 2
        one.lost(1, ConnectionError("gone"))  # what was lost is an older one
        assert (await one.opened(), source.opened) == (2, 5)

    with caplog.at_level(logging.INFO, "modelyard"):
        tried(3, step)
    told = [record.fields for record in caplog.records]  # type: ignore[attr-defined]
    rests = [fields["again_s"] for fields in told if "again_s" in fields]
    assert rests[:3] == [0.01, 0.02, 0.04]
    assert len(rests) == 4
    assert [fields["reason"] for fields in told if "reason" in fields] == [
        "refused 1",
        "refused 2",
        "refused 3",
        "gone",
    ]


def test_once_something_has_worked_the_next_failure_is_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "AGAIN_S", 0.01)

    async def step(one: Any, _: Refusing) -> None:
        await one.opened()
        for wait_s in (0.01, 0.02):
            one.lost(await one.opened(), ConnectionError("gone"))
            assert one._wait_s == wait_s
        await one.opened()
        one.works()
        one.lost(await one.opened(), ConnectionError("gone"))
        assert one._wait_s == 0.01

    tried(0, step)


def test_what_is_not_open_is_not_closed() -> None:
    async def leave(one: Any, _: Refusing) -> None:
        await one.close()

    async def come_and_leave(one: Any, _: Refusing) -> None:
        await one.opened()
        await one.close()

    assert tried(0, leave).closed == 0
    assert tried(0, come_and_leave).closed == 1
