"""Messages to streams, many at once: one subscription hears which of them the streams have.

The client's own `publish_async` makes a future, a task's turn and a random name for each.

Source: NATS, JetStream API, PubAck.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from nats.js.errors import APIError, NoStreamResponseError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Message = tuple[str, bytes, Mapping[str, str]]
    """Subject, data and header fields."""

_LINE = 16
"""Bytes that a header field, or the block of them, takes beside what it says, at most."""


class Sender:
    """Sends messages, and waits until their streams have them. One task sends at a time."""

    def __init__(self, client: Any, failures: tuple[type[Exception], ...]) -> None:
        self._client, self._failures, self._inbox = client, failures, client.new_inbox()
        self._sent = 0
        self._waiting: dict[str, int] = {}
        self._found: list[Exception | None] = []
        self._all = asyncio.Event()

    async def open(self) -> None:
        """Hear what the streams say."""
        await self._client.subscribe(f"{self._inbox}.*", cb=self._hear)

    async def send(self, messages: Sequence[Message | None], wait_s: float) -> list[Exception | None]:
        """Send `messages` and wait for `wait_s` seconds at most; return, for each, why its stream does not have it.

        Where there is no message, nothing is wrong. `ValueError`: the server will never take it.
        """
        self._waiting, self._found = {}, [None] * len(messages)
        self._all.clear()
        for number, message in enumerate(messages):
            if message is not None:
                self._found[number] = await self._begin(number, *message)
        if self._waiting:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._all.wait()
        for number in self._waiting.values():
            self._found[number] = ConnectionError("no confirmation of what was sent")
        return self._found

    async def _begin(self, number: int, subject: str, body: bytes, headers: Mapping[str, str]) -> Exception | None:
        size = len(body) + sum(map(len, headers)) + sum(map(len, headers.values())) + _LINE * (len(headers) + 1)
        if size > self._client.max_payload:  # the client counts the body alone, and the server hangs up
            return ValueError(f"larger than the broker takes, {self._client.max_payload} bytes")
        self._sent += 1
        answered = f"{self._inbox}.{self._sent}"
        self._waiting[answered] = number
        try:
            await self._client.publish(subject, body, reply=answered, headers=headers or None)
        except self._failures as exc:
            del self._waiting[answered]
            return exc
        return None

    async def _hear(self, message: Any) -> None:
        number = self._waiting.pop(message.subject, None)
        if number is None:
            return  # nobody waits for it any more
        self._found[number] = _problem(message)
        if not self._waiting:
            self._all.set()


def _problem(message: Any) -> Exception | None:
    """Return why the stream does not have what was sent, by what it says; None: it has."""
    if not message.data:
        return NoStreamResponseError()
    if b'"error"' not in message.data:
        return None
    error = json.loads(message.data).get("error")  # a stream may be called so
    try:
        return None if error is None else APIError.from_error(error)
    except APIError as exc:  # most are raised, some are returned
        return exc
