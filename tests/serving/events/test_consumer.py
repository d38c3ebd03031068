"""A consumer goes on whatever its broker's client does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.serving.events.quiet import Quiet

from modelyard.serving.events import consumer as consumer_module
from modelyard.serving.events.asking import Outcome
from modelyard.serving.events.consumer import Consumer
from modelyard.serving.events.held import Patience
from modelyard.serving.limits import Limits
from modelyard.serving.metrics import Board, Metrics

if TYPE_CHECKING:
    from modelyard.serving.engine import Engine
    from modelyard.serving.events.result import Results
    from modelyard.serving.events.source import Source


def consumer_of(source: Source[Any], engine: object = None) -> Consumer[Any]:
    """Return what consumes from `source`; whoever has no engine is handed nothing to answer."""
    answering = (cast("Engine", engine), cast("Results", None), Limits(body=1 << 20))
    return Consumer(source, *answering, Metrics(Board(), 0, {}), Patience())


class Odd(Quiet):
    """A broker that fails at what it is told to, once each, and says when it is asked again."""

    def __init__(self, failures: dict[str, Exception]) -> None:
        self.failures, self.again = failures, asyncio.Event()
        self.calls: list[str] = []

    async def open(self) -> None:
        self.calls.append("open")
        if error := self.failures.pop("open", None):
            raise error

    async def take(self, most: int) -> list[Any]:
        self.calls.append("take")
        if error := self.failures.pop("take", None):
            raise error
        self.again.set()
        await asyncio.sleep(0.01)
        return []

    async def close(self) -> None:
        self.calls.append("close")


@pytest.mark.parametrize(
    ("failures", "begin", "told"),
    [
        ({"open": ConnectionError("refused")}, ["open", "open", "take"], "WARNING"),
        ({"take": ConnectionError("gone")}, ["open", "take", "open", "take"], "WARNING"),
        ({"take": ValueError("a client's own mistake")}, ["open", "take", "open", "take"], "ERROR"),
    ],
)
def test_it_connects_anew_whatever_failed(
    failures: dict[str, Any], begin: list[str], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def consume() -> Any:
        source = Odd(dict(failures))
        consumer = consumer_of(source)
        running = asyncio.create_task(consumer.run(1))
        await asyncio.wait_for(source.again.wait(), 10)
        consumer.stop()
        await asyncio.wait_for(running, 10)
        return source.calls

    with caplog.at_level(logging.INFO, "modelyard"):
        calls = asyncio.run(consume())

    assert calls[: len(begin)] == begin
    assert calls[-1] == "close"
    assert [one.levelname for one in caplog.records if one.levelno > logging.INFO] == [told]


class Nowhere(Odd):
    """A broker that is not there, now or later."""

    async def open(self) -> None:
        self.again.set()
        msg = "refused"
        raise ConnectionError(msg)


def test_a_stop_waits_for_no_broker_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_module, "TAKE_S", 60)

    async def consume() -> None:
        source = Nowhere({})
        consumer = consumer_of(source)
        running = asyncio.create_task(consumer.run(1))
        await asyncio.wait_for(source.again.wait(), 10)
        consumer.stop()
        await asyncio.wait_for(running, 10)

    asyncio.run(consume())


class Slow(Odd):
    """A broker that takes its time to refuse."""

    async def open(self) -> None:
        self.again.set()
        await asyncio.sleep(0.2)
        msg = "refused"
        raise ConnectionError(msg)


def test_a_stop_while_it_connects_for_the_first_time_waits_until_it_is_told_how_that_went(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def consume() -> None:
        source = Slow({})
        consumer = consumer_of(source)
        running = asyncio.create_task(consumer.run(1))
        await asyncio.wait_for(source.again.wait(), 10)
        consumer.stop()
        await asyncio.wait_for(running, 10)

    with caplog.at_level(logging.INFO, "modelyard"):
        asyncio.run(consume())
    assert [one.message for one in caplog.records] == ["broker"]


class Deaf(Odd):
    """A broker whose answer, a refusal, comes at the moment at which nobody wants to wait for it any more."""

    async def open(self) -> None:
        self.calls.append("open")
        self.again.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if self.calls == ["open"]:
                msg = "refused"
                raise ConnectionError(msg) from None
            raise


def test_it_ends_whatever_its_broker_answers_at_that_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_module, "TAKE_S", 0.05)

    async def consume() -> list[str]:
        source = Deaf({})
        consumer = consumer_of(source)
        running = asyncio.create_task(consumer.run(1))
        await asyncio.wait_for(source.again.wait(), 10)
        consumer.stop()
        ended, _ = await asyncio.wait({running}, timeout=5)
        assert ended
        return source.calls

    assert asyncio.run(consume()) == ["open", "open"]


class Suspicious(Quiet):
    """A source that hands three events out, two of which somebody has had before."""

    def __init__(self) -> None:
        self.events = [SimpleNamespace(headers={}, body=b"", attempt=tries, origin=str(tries)) for tries in (1, 2, 2)]

    async def take(self, most: int) -> list[Any]:
        events, self.events = self.events, []
        await asyncio.sleep(0.01)
        return events


def test_what_was_handed_out_before_is_worked_at_one_after_another() -> None:
    """One of them may end the process: what is acknowledged before its turn is safe."""

    async def consume() -> list[Any]:
        begun: list[Callable[[Outcome], None]] = []
        engine = SimpleNamespace(submit=lambda _work, done: begun.append(done))
        consumer = consumer_of(Suspicious(), engine)
        running = asyncio.create_task(consumer.run(1))
        counts = []
        for _ in range(3):
            await asyncio.sleep(0.1)
            counts.append(len(begun))
            for done in begun[:]:
                begun.remove(done)
                done(Outcome(None))
        consumer.stop()
        await asyncio.wait_for(running, 10)
        return counts

    assert asyncio.run(consume()) == [2, 1, 0]
