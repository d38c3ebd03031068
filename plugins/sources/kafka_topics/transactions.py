"""Exactly once: answers, and how far their partition is done, are one transaction.

A partition has a name among producers, which whoever gets it takes over: what the one before has not committed by then is
void, and nothing more of it counts. So there is a producer for each partition.

Source: Apache Kafka, KIP-98, "Exactly Once Delivery and Transactional Messaging".
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition

from .client import CONFIRM_S, CONNECT_S, FAILURES, broken, left, producer_of
from .sending import is_too_large, send_once

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelyard.serving.events.source import Place

    from .sending import Outgoing


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

    async def commit(self, number: int, outgoing: Mapping[int, Outgoing | None]) -> Mapping[int, Exception]:
        """Send, and have the partition done up to the last of these events: all of it, or nothing.

        Args:
            number: that of the partition.
            outgoing: what is sent for each event, by offset, in their order; None: nothing.

        Returns:
            What the broker has against single ones, by their offsets; then nothing was done.

        Raises:
            ConnectionError: it failed as a whole, and nobody knows how it ended.
        """
        problems = await self._committed(number, outgoing)
        if any(map(is_too_large, problems.values())):
            problems = await self._committed(number, outgoing, alone=True)
        return problems

    async def _committed(
        self, number: int, outgoing: Mapping[int, Outgoing | None], *, alone: bool = False
    ) -> Mapping[int, Exception]:
        producer = self._producers.get(number)
        if producer is None:
            msg = "the partition is another's"
            raise ConnectionError(msg)
        try:
            await producer.begin_transaction()
            told = await send_once(producer, self._place, list(outgoing.values()), alone=alone)
            problems = {offset: one for offset, one in zip(outgoing, told, strict=True) if one is not None}
            if problems:
                await asyncio.wait_for(producer.abort_transaction(), CONFIRM_S)
                return await self._counted_anew(number, problems)
            done = {TopicPartition(self._place.input, number): max(outgoing) + 1}
            await asyncio.wait_for(producer.send_offsets_to_transaction(done, self._place.group), CONFIRM_S)
            await asyncio.wait_for(producer.commit_transaction(), CONFIRM_S)
        except FAILURES as exc:
            raise broken(self._place, exc) from exc
        return {}

    async def _counted_anew(self, number: int, problems: Mapping[int, Exception]) -> Mapping[int, Exception]:
        """Begin with another producer after a batch was refused as too large: the broker counts, and misses that one.

        Returns:
            Those problems that are not of what came after it.
        """
        large = {offset: one for offset, one in problems.items() if is_too_large(one)}
        if large:
            before = self._producers.pop(number)
            await left(before)
            await self.gain([number])
        return large or problems
