"""Takes events from a broker, has them answered, and acknowledges each when the broker has its answer: at least once."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Generic

from ..errors import RequestError
from ..logs import requests
from .asking import Asking, Outcome
from .held import Held
from .lanes import Lanes
from .letters import answer_of, read_event, why_dead
from .link import Link
from .source import D, Ending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..engine import Engine
    from ..limits import Limits
    from ..metrics import Metrics
    from .held import Patience
    from .result import Results
    from .source import Source

TAKE_S = 2.0
"""How long a `take` may last once no more is to be taken."""
CANCEL_S = 0.5
"""How long a task may take to end once it is cancelled, before it is cancelled again."""
TURN_S = 0.002
"""How long events are begun before others have a turn: answers that are there at once go out together."""
NOTHING = 2
"""Times in a row that nothing came, after which there is nothing more: what a broker sends by itself may be late."""
SMALL_BYTES = 1 << 16
_SUSPECT = ""
"""The key of what was handed out before; it is used where there is no order by key."""


class Consumer(Generic[D]):
    """Answers what a broker hands out, until it is told to stop.

    Three tasks share the connection: one takes events, one tells the broker what became of them, as many at once as
    there are, and one keeps those that are being worked at.
    """

    def __init__(
        self, source: Source[D], engine: Engine, results: Results, limits: Limits, metrics: Metrics, patience: Patience
    ) -> None:
        self._link = Link(source, metrics)
        self._source, self._engine, self._results, self._limits = source, engine, results, limits
        self._metrics, self._patience = metrics, patience
        self._held: dict[Held[D], None] = {}
        self._lanes: Lanes[Held[D]] = Lanes()
        self._ended: list[Held[D]] = []
        self._some_ended, self._some_gone = asyncio.Event(), asyncio.Event()
        self._stopping = asyncio.Event()
        self._refused = self._is_full = False
        self._nothing = 0

    def stop(self) -> None:
        """Take no more."""
        self._stopping.set()
        self._some_gone.set()

    async def run(self, grace_s: float) -> None:
        """Consume until `stop`, or once there is nothing more, then finish what is held within `grace_s` seconds.

        The broker keeps the rest.
        """
        self._loop = asyncio.get_running_loop()
        others = [asyncio.create_task(self._settle()), asyncio.create_task(self._keep())]
        taking = asyncio.create_task(self._take())
        await self._stopping.wait()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._link.tried(), TAKE_S)
        # what the broker has sent already is taken, too; one that is not there has sent nothing
        await asyncio.wait({taking}, timeout=TAKE_S if self._link.is_open else 0)
        await _ended(taking)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._finished(), grace_s)
        for task in others:
            await _ended(task)
        with contextlib.suppress(Exception):  # the broker finds out by itself, later
            await asyncio.wait_for(self._give_back(), 1.0)
        await self._link.close()
        requests.flush()

    # What is taken.

    async def _take(self) -> None:
        while not self._stopping.is_set():
            if not self._has_room():
                self._some_gone.clear()
                await self._some_gone.wait()
                continue
            number = await self._link.opened()
            try:
                await self._take_some(self._patience.in_flight - len(self._held))
            except Exception as exc:
                self._link.lost(number, exc)
            else:
                if not self._refused:
                    self._link.works()
                if self._patience.once and self._nothing >= NOTHING and not self._held:
                    self.stop()

    async def _take_some(self, most: int) -> None:
        deliveries, now = await self._source.take(most), self._loop.time()
        self._nothing = 0 if deliveries else self._nothing + 1
        held = [Held(one, now, self._key(one), one.attempt) for one in self._in_turn(deliveries)]
        self._held.update(dict.fromkeys(held))  # all at once: a stop between two must not lose one
        self._metrics.events_held(len(self._held))
        if held:
            self._metrics.event_batch()
        for one in held:
            if self._lanes.enter(one.key, one):
                self._begin(one)
            if self._loop.time() > now + TURN_S:
                await asyncio.sleep(0)  # whoever else waits has a turn
                now = self._loop.time()

    def _has_room(self) -> bool:
        """Return whether there is room; once it is full, only for many: to ask for one costs as much as to ask for all."""
        limit = self._patience.in_flight
        self._is_full = len(self._held) > (limit // 2 if self._is_full else limit - 1)
        return not self._is_full

    def _in_turn(self, deliveries: Sequence[D]) -> Sequence[D]:
        """Return them with those first that were handed out before, in no order.

        One of these may end the process each time. Whatever always came after it would be put aside with it; so would be
        whatever is worked at beside it, which is why each of these begins when the one before is acknowledged.
        """
        if self._patience.order == "key":
            return deliveries
        return sorted(deliveries, key=lambda one: (-one.attempt, random.random() if one.attempt > 1 else 0.0))

    def _key(self, delivery: D) -> str | None:
        if self._patience.order == "none":
            return _SUSPECT if delivery.attempt > 1 else None
        try:
            return read_event(delivery, self._limits).get("partitionkey")
        except RequestError:  # it is a dead letter as soon as it is asked
            return None

    def _begin(self, held: Held[D]) -> None:
        """Have it answered, unless it was handed out so often that it may well be what ended those who had it."""
        tried = held.delivery.attempt - 1
        if tried < self._patience.attempts:
            self._ask(held)
        else:
            held.attempt = tried
            detail = f"it was handed out {tried} times, and nobody came to an end with it"
            self._end(held, Outcome(None, wrong=RequestError(500, detail)))

    def _ask(self, held: Held[D]) -> None:
        delivery = held.delivery
        small = len(delivery.body) < SMALL_BYTES
        work = Asking(lambda: read_event(delivery, self._limits), self._results, self._limits, small=small)
        self._engine.submit(work, lambda outcome: self._end(held, outcome))

    # What becomes of it.

    def _end(self, held: Held[D], outcome: Outcome) -> None:
        name, delivery, wrong = outcome.name, held.delivery, outcome.wrong
        held.event = outcome.event
        if name == "returned" or (name == "failed" and held.attempt < self._patience.attempts):
            self._rest(held, name)
        elif wrong is not None:
            self._tell(
                held,
                name,
                Ending(delivery, dead_letter=why_dead(delivery, held.attempt, name, wrong.message, wrong.status)),
            )
        else:
            answer = None if outcome.result is None else answer_of(outcome.result)
            self._tell(held, name, Ending(delivery, answer=answer))

    def _tell(self, held: Held[D], outcome: str, ending: Ending[D]) -> None:
        held.outcome, held.ending = outcome, ending
        self._ended.append(held)
        self._some_ended.set()

    def _rest(self, held: Held[D], outcome: str) -> None:
        """Have it tried again later.

        Where the broker can hand it out again, its place is free meanwhile. Not with an order: what follows would overtake
        it. Nor when it was not tried at all, for want of room: the broker would count that as if it had been. Nor where
        this ends once there is nothing more: it would be left behind.
        """
        rest_s, patience = self._patience.rest_s(held.attempt), self._patience
        if outcome == "failed" and self._source.rests and patience.order == "none" and not patience.once:
            self._tell(held, "returned", Ending(held.delivery, rest_s=rest_s))
            return
        self._metrics.event("returned")
        held.attempt += outcome == "failed"
        held.rests = True
        self._some_gone.set()
        self._loop.call_later(rest_s, self._ask_again, held)

    def _ask_again(self, held: Held[D]) -> None:
        if not self._stopping.is_set():
            held.rests = False
            self._ask(held)

    async def _settle(self) -> None:
        while True:
            await self._some_ended.wait()
            number = await self._link.opened()
            ended, self._ended = self._ended, []
            self._some_ended.clear()
            try:
                failures = await self._source.settle([one.ending for one in ended])
            except Exception as exc:
                failures = [exc] * len(ended)
            problems = [exc for one, exc in zip(ended, failures, strict=True) if not self._settled(one, exc)]
            self._refused = bool(problems)
            if self._refused:
                self._link.lost(number, problems[0] or ConnectionError(), "not acknowledged")
            else:
                self._link.works()

    def _settled(self, held: Held[D], failure: Exception | None) -> bool:
        """Return whether the broker knows what became of an event, or will as soon as it is told something else."""
        if failure is None:
            self._let_go(held)
            return True
        self._ended.append(held)
        if isinstance(failure, BlockingIOError):  # what it waits for will end
            return True
        self._some_ended.set()
        delivery, ending = held.delivery, held.ending
        if not isinstance(failure, ValueError) or (ending.answer is None and not ending.dead_letter):
            return False
        if ending.dead_letter:  # what came fitted, and does so again
            held.ending = Ending(delivery, dead_letter={})
        else:
            held.outcome = "failed"
            held.ending = Ending(
                delivery, dead_letter=why_dead(delivery, held.attempt, "failed", f"the answer: {failure}", 500)
            )
        return True

    def _let_go(self, held: Held[D]) -> None:
        del self._held[held]
        self._some_gone.set()
        following = self._lanes.leave(held.key)
        now, event = self._loop.time(), held.event
        age_s = None if event is None else event.age_s()
        self._metrics.event(held.outcome)
        self._metrics.events_held(len(self._held))
        self._metrics.event_took(now - held.taken, age_s)
        fields: dict[str, object] = {} if event is None else {"id": event["id"], "source": event["source"]}
        fields |= {"origin": held.delivery.origin, "outcome": held.outcome, "attempt": held.attempt}
        requests.add(self._loop, "info", {**fields, "duration_ms": round(1000 * (now - held.taken), 3)}, "event")
        if following is not None:
            self._begin(following)

    # What is held.

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._patience.lease_s / 3)
            if self._held:
                number = await self._link.opened()
                try:
                    await self._source.keep([one.delivery for one in self._held])
                except Exception as exc:
                    self._link.lost(number, exc)

    async def _finished(self) -> None:
        """Wait until nothing is held but what rests, and what must not overtake that."""
        while True:
            self._some_gone.clear()
            blocked = {one.key for one in self._held if one.rests} - {None}
            if all(one.rests or one.key in blocked for one in self._held):
                return
            await self._some_gone.wait()

    async def _give_back(self) -> None:
        """Have what is not done handed out again now, rather than when its lease ends."""
        if self._held:
            await self._source.settle([Ending(held.delivery, rest_s=0.0) for held in self._held])


async def _ended(task: asyncio.Task[None]) -> None:
    """Cancel a task until it has ended: what it waited for may come at that very moment, and then it goes on.

    Source: CPython, gh-86296: before 3.12, `wait_for` returns a result that is there, and the cancellation is lost.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_S)
    with contextlib.suppress(asyncio.CancelledError):
        await task
