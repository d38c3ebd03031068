"""The connection to the broker: made anew after anything has failed, with longer and longer rests."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Generic

from ..logs import log, logger
from .source import D

if TYPE_CHECKING:
    from ..metrics import Metrics
    from .source import Source

AGAIN_S, LONGEST_S = 0.2, 60.0
"""How long it rests after the first failure, and at most, in seconds."""


class Link(Generic[D]):
    """The connection to the broker: made anew, by whoever needs it, after anything has failed."""

    def __init__(self, source: Source[D], metrics: Metrics) -> None:
        self.source = source
        self._metrics = metrics
        metrics.event_connection(is_open=False)
        self._opening = asyncio.Lock()
        self._number, self._is_open, self._wait_s = 0, False, 0.0
        self._has_tried = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._is_open

    async def tried(self) -> None:
        """Wait until there was a connection, or the log says why there was none."""
        await self._has_tried.wait()

    async def opened(self) -> int:
        """Return the number of the connection, once there is one."""
        async with self._opening:
            while not self._is_open:
                await asyncio.sleep(self._wait_s)
                try:
                    await self.source.open()
                except Exception as exc:  # whatever it is, to consume no more would be worse, and silent
                    self._longer("broker", exc)
                else:
                    self._number, self._is_open = self._number + 1, True
                    self._metrics.event_connection(is_open=True)
                    log(logging.INFO, "broker", connected=True)
                self._has_tried.set()
        return self._number

    def lost(self, number: int, exc: Exception, event: str = "broker") -> None:
        """Have the connection made anew, unless that has begun already; `event` is what the log calls it."""
        if self._is_open and number == self._number:
            self._is_open = False
            self._metrics.event_connection(is_open=False)
            self._longer(event, exc)

    def works(self) -> None:
        """Something has worked: the next failure is the first."""
        self._wait_s = 0.0

    async def close(self) -> None:
        """Leave, if it is open."""
        if self._is_open:
            with contextlib.suppress(Exception):
                await self.source.close()

    def _longer(self, event: str, exc: Exception) -> None:
        self._wait_s = min(LONGEST_S, max(AGAIN_S, 2 * self._wait_s))
        tell(event, exc, again_s=self._wait_s)


def tell(event: str, exc: Exception, **more: float) -> None:
    """Log what the broker did not do; anything else is a mistake of ours, with its traceback."""
    if isinstance(exc, ConnectionError):
        log(logging.WARNING, event, reason=str(exc), **more)
    else:
        logger.error(event, exc_info=exc, extra={"fields": more})
