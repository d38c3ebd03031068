"""What a durable consumer hands out: it is asked for many events at once, and each is there as soon as it comes.

The client's own `fetch` asks twice for each handful, and lets a lonely event wait for others until its time is over.

Source: NATS, ADR-13 (pull consumers), and the statuses that end a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

ASK_S, LATER_S, SILENT_S = 1.0, 0.5, 6.0
"""How long the server may keep a request; how much longer it is waited for at a time; and when it has answered none.

A consumer that was removed answers nothing at all.
"""
_OVER = ("404", "408")
"""Statuses of a request that has found nothing more; any other says that the consumer cannot be asked."""


class Pull:
    """Requests to a durable consumer, one at a time.

    What was asked for may come when nobody waits for it; then it is what the next `take` returns, or `close` gives back.

    Args:
        client: a client that is connected.
        stream: the stream's name.
        consumer: the consumer's.

    Attributes:
        came: the messages that have come and were not taken.
    """

    def __init__(self, client: Any, stream: str, consumer: str) -> None:
        self._client, self._loop = client, asyncio.get_running_loop()
        self._subject, self._inbox = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", client.new_inbox()
        self.came: list[Any] = []
        self._requests = self._left = 0
        self._asked = 0.0
        self._wrong = ""
        self._some = asyncio.Event()

    async def open(self) -> None:
        """Hear what comes."""
        await self._client.subscribe(f"{self._inbox}.*", cb=self._hear)

    async def take(self, most: int) -> Sequence[Any]:
        """Return the messages that are there, `most` at most; after a second, none.

        No more than `most` are here or on their way, given that whoever takes has room for what it was promised before.

        Raises:
            ConnectionError: the consumer cannot be asked.
        """
        if most > len(self.came) and self._left <= 0:
            await self._ask(most - len(self.came))
        if not self.came:
            self._some.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ASK_S + LATER_S):
                    await self._some.wait()
        if not self.came and self._left > 0 and self._loop.time() > self._asked + SILENT_S:
            self._wrong = "no answer"
        if self._wrong:
            wrong, self._wrong = self._wrong, ""
            msg = f"the consumer cannot be asked for events: {wrong}"
            raise ConnectionError(msg)
        taken, self.came = self.came[:most], self.came[most:]
        return taken

    async def close(self) -> Sequence[Any]:
        """Wait until nothing more is asked for, a second at most, and return what has come and was not taken.

        What is given back while the server still has a request, it hands out to that, or to nobody.
        """
        while self._left > 0:
            self._some.clear()
            await self._some.wait()
        return self.came

    async def _ask(self, count: int) -> None:
        self._requests += 1
        self._left, self._asked = count, self._loop.time()
        request = json.dumps({"batch": count, "expires": int(ASK_S * 1e9)}).encode()
        await self._client.publish(self._subject, request, reply=f"{self._inbox}.{self._requests}")

    async def _hear(self, message: Any) -> None:
        """Keep an event, which is to be acknowledged; what is not says what became of a request."""
        if message.reply:
            self.came.append(message)
            self._left -= 1
        elif message.subject != f"{self._inbox}.{self._requests}":
            return  # of a request from before
        else:
            told = message.headers or {}
            self._left = 0
            if told.get("Status") not in _OVER:
                self._wrong = told.get("Description") or told.get("Status") or "no answer"
        self._some.set()
