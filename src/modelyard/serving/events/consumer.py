"""Takes events from a broker, has them answered, and acknowledges each when the broker has its answer: at least once."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic
from urllib.parse import quote

from ..logs import log, logger
from . import structured
from .asking import Asking, Outcome
from .http import Mode, binary, mode_of
from .source import D

if TYPE_CHECKING:
    from ..engine import Engine
    from ..limits import Limits
    from ..metrics import Metrics
    from .event import Event
    from .result import Results
    from .source import Source

DETAIL = 500
AGAIN_S, LONGEST_S = 0.2, 60.0


@dataclass(frozen=True)
class Patience:
    """How much is taken on, and how often it is tried.

    Attributes:
        in_flight: events that are held at a time.
        attempts: how often one is tried that may work next time.
        retry_s: how long it rests after the first time, in seconds; each time twice as long, at most `LONGEST_S`.
        lease_s: how long the broker waits for a word about an event, in seconds.
    """

    in_flight: int = 64
    attempts: int = 5
    retry_s: float = 1.0
    lease_s: float = 30.0

    def rest_s(self, attempt: int) -> float:
        """Return how long an event rests after it failed for the `attempt`th time, in seconds."""
        return float(min(LONGEST_S, self.retry_s * 2 ** min(attempt - 1, 16)) * random.uniform(0.8, 1.2))


class Consumer(Generic[D]):
    """Answers what a broker hands out, until it is told to stop."""

    def __init__(
        self, source: Source[D], engine: Engine, results: Results, limits: Limits, metrics: Metrics, patience: Patience
    ) -> None:
        self._source, self._engine, self._results, self._limits = source, engine, results, limits
        self._metrics, self._patience = metrics, patience
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Take no more."""
        self._stopping.set()

    async def run(self, grace_s: float) -> None:
        """Consume until `stop`, then finish what is held within `grace_s` seconds; the broker keeps the rest."""
        wait_s, is_open = AGAIN_S, False
        while not self._stopping.is_set():
            try:
                if not is_open:
                    await self._source.open()
                    is_open, wait_s = True, AGAIN_S
                await self._take()
            except Exception as exc:  # whatever it is, to consume no more would be worse, and silent
                _tell("broker", exc, again_s=wait_s)
                is_open = False
                await self._rest(wait_s)
                wait_s = min(LONGEST_S, 2 * wait_s)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_s)
        for task in self._tasks:
            task.cancel()
        if is_open:
            await self._source.close()

    async def _take(self) -> None:
        room = self._patience.in_flight - len(self._tasks)
        if room <= 0:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            return
        for delivery in await self._source.take(room):
            task = asyncio.create_task(self._handle(delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _rest(self, time_s: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), time_s)
        except TimeoutError:
            return

    async def _handle(self, delivery: D) -> None:
        keeping = asyncio.create_task(self._keep(delivery))
        try:
            outcome = await self._asked(delivery)
            await self._settle(delivery, outcome)
        except Exception as exc:
            _tell("not acknowledged", exc)  # it is handed out again
        finally:
            keeping.cancel()

    async def _keep(self, delivery: D) -> None:
        while True:
            await asyncio.sleep(self._patience.lease_s / 2)
            try:
                await delivery.keep()
            except ConnectionError:
                return

    async def _asked(self, delivery: D) -> Outcome:
        answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        work = Asking(lambda: self._read(delivery), self._results, self._limits, small=len(delivery.body) < 1 << 16)

        def reply(outcome: Outcome) -> None:
            if not answered.done():
                answered.set_result(outcome)

        self._engine.submit(work, reply)
        return await answered

    def _read(self, delivery: D) -> Event:
        headers = delivery.headers
        media_type = headers.get(b"content-type", headers.get(b"ce-datacontenttype", b"")).decode()
        if mode_of(media_type) is Mode.STRUCTURED:
            return structured.read_one(delivery.body, self._limits)
        others = {name: value for name, value in headers.items() if name != b"ce-datacontenttype"}
        return binary(others, delivery.body, media_type or None)

    async def _settle(self, delivery: D, outcome: Outcome) -> None:
        name = outcome.name
        if name in ("failed", "returned") and (name == "returned" or delivery.attempt < self._patience.attempts):
            await delivery.put_back(self._patience.rest_s(delivery.attempt))
            name = "returned"
        else:
            if outcome.result is not None:
                await self._source.publish(outcome.result)
            elif outcome.wrong is not None:
                detail = quote(outcome.wrong.message[:DETAIL], safe=" ").replace(" ", "%20")
                told = {"errorreason": name, "errordetail": detail, "errorattempts": str(delivery.attempt)}
                await self._source.bury(delivery, told | {"knativeerrorcode": str(outcome.wrong.status)})
            await delivery.acknowledge()
        self._metrics.event(name)


def _tell(event: str, exc: Exception, **more: float) -> None:
    """Log what the broker did not do; anything else is a mistake of ours, with its traceback."""
    if isinstance(exc, ConnectionError):
        log(logging.WARNING, event, reason=str(exc), **more)
    else:
        logger.error(event, exc_info=exc, extra={"fields": more})
