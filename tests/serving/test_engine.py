"""What is slow is kept from the event loop, which comes before whatever waits."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from modelyard.serving import engine as engines
from modelyard.serving.engine import AT_ONCE_S, LONG_S, PASSES, SLOW, Engine, Pace
from modelyard.serving.metrics import Board, Metrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LOOP = threading.get_ident()


@pytest.fixture(autouse=True)
def _a_machine_with_other_work_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "WAY_S", 5.0)
    monkeypatch.setattr(engines, "REST_S", 1.0)


class Twice:
    def run(self, inputs: Any) -> dict[str, Any]:
        return {"twice": 2 * inputs["one"]}


class Asked:
    """A request whose reading takes so much of a processor; `read_on` is the thread in which it was read."""

    timeout_s = None

    def __init__(self, takes_s: float = 0.0, *, small: bool = True, then: Callable[[], object] = lambda: None) -> None:
        self.small, self._takes_s, self._then = small, takes_s, then
        self.read_on = 0

    def read(self) -> dict[str, np.ndarray]:
        end = time.thread_time() + self._takes_s
        self.read_on = threading.get_ident()
        self._then()
        while time.thread_time() < end:
            pass
        return {"one": np.ones((1, 1), np.float32)}

    def answer(self, outputs: Any) -> object:
        return float(outputs["twice"].item())

    def refuse(self, exc: Any) -> Any:
        return exc


def running(ask: Callable[[Callable[[Asked], Awaitable[object]]], Awaitable[None]]) -> None:
    """Run `ask` with what has a request answered by an engine."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        engine = Engine(Twice(), Metrics(Board(), 0, {}).of_model(0), Pace(sample_s=0.0), loop)

        async def answered(work: Asked) -> object:
            answer = loop.create_future()
            engine.submit(work, answer.set_result)
            return await answer

        try:
            await ask(answered)
            await asyncio.sleep(0.05)  # the thread, which gives way, goes on
        finally:
            engine.close()

    asyncio.run(run())


async def slow_ones(answered: Any) -> None:
    """Have as many slow requests answered as it takes for the thread to read."""
    for _ in range(SLOW):
        work = Asked(2 * AT_ONCE_S)
        assert await answered(work) == 2.0
        assert work.read_on == LOOP


def test_after_small_requests_that_were_slow_to_read_others_are_read_in_the_thread_for_a_while() -> None:
    following, later = Asked(), Asked()

    async def ask(answered: Any) -> None:
        await slow_ones(answered)
        assert await answered(following) == 2.0
        await asyncio.sleep(1.1)
        assert await answered(later) == 2.0

    running(ask)

    assert later.read_on == LOOP
    assert following.read_on != LOOP


def test_between_two_long_readings_the_event_loop_goes_round() -> None:
    rounds = 0
    seen: list[int] = []
    texts = [Asked(2 * LONG_S, small=False, then=lambda: seen.append(rounds)) for _ in range(3)]

    async def ask(answered: Any) -> None:
        nonlocal rounds
        waiting = asyncio.gather(*map(answered, texts))
        while not waiting.done():
            rounds += 1
            await asyncio.sleep(0)
        assert await waiting == [2.0] * 3

    running(ask)

    assert all(text.read_on != LOOP for text in texts)
    assert min(np.diff(seen)) >= PASSES


def test_what_waits_is_answered_before_all_of_it_is_read() -> None:
    """Small requests are predicted together, but not at the price of those that were read long ago."""
    order: list[str] = []
    works = [Asked(2 * LONG_S, then=lambda: order.append("read")) for _ in range(3)]

    async def ask(answered: Any) -> None:
        await slow_ones(answered)

        async def one(work: Any) -> None:
            await answered(work)
            order.append("answered")

        await asyncio.gather(*map(one, works))

    running(ask)

    assert order == ["read", "answered"] * 3


class Unpacked(Asked):
    """What asks for no prediction."""

    def read(self) -> dict[str, Any]:
        super().read()
        return {}

    def answer(self, outputs: Any) -> dict[str, Any]:
        return dict(outputs)


def test_what_has_nothing_to_predict_is_answered_without_the_model_and_read_in_the_thread_if_it_is_large() -> None:
    large, small = Unpacked(small=False), Unpacked()

    async def ask(answered: Any) -> None:
        assert [await answered(large), await answered(small)] == [{}, {}]

    running(ask)

    assert (large.read_on != LOOP, small.read_on == LOOP) == (True, True)
