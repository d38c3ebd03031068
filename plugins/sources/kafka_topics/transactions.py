"""Exactly once: answers, and how far their partition is done, are one transaction.

A partition has a name among producers, which whoever gets it takes over: what the one before has not committed by then is
void, and nothing more of it counts. So there is a producer for each partition.

Source: Apache Kafka, KIP-98, "Exactly Once Delivery and Transactional Messaging".
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition

from .client import CONFIRM_S, CONNECT_S, FAILURES, broken, left, problem_of, producer_of, topic_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from modelyard.serving.events.source import Place


@dataclass(frozen=True)
class Outgoing:
    """What is sent for one event.

    Attributes:
        offset: that of the event, in its partition.
        topic: where it goes; empty: nothing is sent.
        key, value, headers: what goes there.
    """

    offset: int
    topic: str
    key: bytes | None = None
    value: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class Transactions:
    """The producers of the partitions that this consumer has, by number."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._producers: dict[int, Any] = {}

    async def gain(self, numbers: Iterable[int]) -> None:
        """Take partitions over: when this returns, what was committed of them is final."""
        place = self._place
        made = {
            one: producer_of(place, f"{place.group}:{place.input}:{one}") for one in numbers
        }  # no topic has a colon
        self._producers |= made
        await asyncio.gather(*(asyncio.wait_for(one.start(), CONNECT_S) for one in made.values()))

    async def lose(self) -> None:
        """Give all partitions away."""
        gone, self._producers = list(self._producers.values()), {}
        await asyncio.gather(*map(left, gone))

    async def commit(self, number: int, outgoing: Sequence[Outgoing]) -> Mapping[int, Exception]:
        """Send, and have the partition done up to the last of these events: all of it, or nothing.

        Returns:
            What the broker has against single ones, by their offsets; then nothing was done.

        Raises:
            ConnectionError: it failed as a whole, and nobody knows how it ended.
        """
        producer = self._producers.get(number)
        if producer is None:
            msg = "the partition is another's"
            raise ConnectionError(msg)
        if missing := await self._missing(producer, outgoing):
            return missing
        try:
            await producer.begin_transaction()
            problems = await self._sent(producer, outgoing)
            if problems:
                await asyncio.wait_for(producer.abort_transaction(), CONFIRM_S)
                return problems
            done = {TopicPartition(self._place.input, number): outgoing[-1].offset + 1}
            await asyncio.wait_for(producer.send_offsets_to_transaction(done, self._place.group), CONFIRM_S)
            await asyncio.wait_for(producer.commit_transaction(), CONFIRM_S)
        except FAILURES as exc:
            raise broken(self._place, exc) from exc
        return {}

    async def _missing(self, producer: Any, outgoing: Sequence[Outgoing]) -> dict[int, Exception]:
        found: dict[str, Exception] = {}
        for topic in {one.topic for one in outgoing} - {""}:
            try:
                await topic_of(producer, self._place, topic)
            except ConnectionError as exc:
                found[topic] = exc
        return {one.offset: found[one.topic] for one in outgoing if one.topic in found}

    async def _sent(self, producer: Any, outgoing: Sequence[Outgoing]) -> dict[int, Exception]:
        futures = {}
        for one in outgoing:
            if one.topic:
                futures[one.offset] = await producer.send(one.topic, one.value, one.key, headers=list(one.headers))
        if futures:
            await asyncio.wait(futures.values(), timeout=CONFIRM_S + 1)
        found = {offset: problem_of(self._place, future) for offset, future in futures.items()}
        return {offset: problem for offset, problem in found.items() if problem is not None}
