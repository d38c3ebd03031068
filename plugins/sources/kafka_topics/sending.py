"""Records that are sent to Kafka together: one batch for each partition, which the broker confirms as a whole.

What the client's `send` does for a record by itself, its future among it, takes as long as all else about an answer.

Source: aiokafka, `AIOKafkaProducer.create_batch` and `send_batch`; Apache Kafka, KIP-480, "Sticky Partitioner".
"""

from __future__ import annotations

import asyncio
import random
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka.partitioner import murmur2

from .client import CONFIRM_S, FAILURES, problem_of, topic_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelyard.serving.events.source import Place

KEYS = 1024
"""How many keys' hashes are remembered: they are made in Python, byte by byte."""


class Outgoing(NamedTuple):
    """A record that is to be sent.

    Attributes:
        topic: where it goes.
        key, value, headers: what goes there.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Batch(NamedTuple):
    """Records of one partition, by their numbers, and what they are together."""

    topic: str
    partition: int
    numbers: list[int]
    builder: Any

    def add(self, number: int, record: Outgoing) -> bool:
        """Add a record, unless it is full; return whether it was not."""
        _, key, value, headers = record
        if self.builder.append(timestamp=None, key=key, value=value, headers=headers) is None:
            return False
        self.numbers.append(number)
        return True


async def send(producer: Any, place: Place, outgoing: Sequence[Outgoing | None]) -> list[Exception | None]:
    """Send records; return, for each, what the broker has against it. None stands for nothing to send.

    A broker measures batches: what was too large is sent again, each record by itself, to find who it is.
    """
    problems = await send_once(producer, place, outgoing)
    if not any(is_too_large(one) for one in problems):
        return problems
    suspects = [one if is_too_large(problem) else None for one, problem in zip(outgoing, problems, strict=True)]
    alone = await send_once(producer, place, suspects, alone=True)
    return [mine if is_too_large(before) else before for before, mine in zip(problems, alone, strict=True)]


async def send_once(
    producer: Any, place: Place, outgoing: Sequence[Outgoing | None], *, alone: bool = False
) -> list[Exception | None]:
    """Send records, each `alone` or together with others; return, for each, what the broker has against what it was in."""
    records = {number: one for number, one in enumerate(outgoing) if one is not None}
    problems = await _missing(producer, place, records)
    there = {number: one for number, one in records.items() if number not in problems}
    batches = _batches(producer, there, alone=alone)
    begun = [await _begun(producer, batch) for batch in batches]
    futures = [one for one in begun if isinstance(one, asyncio.Future)]
    if futures:
        await asyncio.wait(futures, timeout=CONFIRM_S + 1)
    for batch, told in zip(batches, begun, strict=True):
        problems |= dict.fromkeys(batch.numbers, problem_of(place, told))
    return [problems.get(number) for number in range(len(outgoing))]


def is_too_large(problem: Exception | None) -> bool:
    """Whether the broker will never take what it was given, as large as it was."""
    return isinstance(problem, ValueError)


async def _missing(producer: Any, place: Place, records: Mapping[int, Outgoing]) -> dict[int, Exception | None]:
    """Return what is wrong with those records whose topic is not there."""
    found: dict[str, Exception] = {}
    for topic in {one.topic for one in records.values()}:
        try:
            await topic_of(producer, place, topic)
        except ConnectionError as exc:
            found[topic] = exc
    return {number: found[one.topic] for number, one in records.items() if one.topic in found}


def _batches(producer: Any, records: Mapping[int, Outgoing], *, alone: bool) -> list[Batch]:
    """Put records together, those of a partition in their order; what has no key is together, too, wherever that is."""
    batches: list[Batch] = []
    filling: dict[tuple[str, int], Batch] = {}
    partitions = {topic: Partitions(producer, topic) for topic in {one.topic for one in records.values()}}
    for number, one in records.items():
        where = one.topic, partitions[one.topic].of(one.key)
        batch = filling.get(where)
        if batch is None or alone or not batch.add(number, one):
            batch = filling[where] = Batch(*where, [], producer.create_batch())
            batch.add(number, one)  # the first is never too large for the client
            batches.append(batch)
    return batches


class Partitions:
    """Which partition of a topic a record goes to."""

    def __init__(self, producer: Any, topic: str) -> None:
        cluster = producer.client.cluster
        self._all: list[int] = sorted(cluster.partitions_for_topic(topic))
        self._any: int = random.choice(sorted(cluster.available_partitions_for_topic(topic)) or self._all)

    def of(self, key: bytes | None) -> int:
        """Return the partition that all of Kafka's clients give a key; without one, the same for all of this time."""
        return self._any if key is None else self._all[_hash(key) % len(self._all)]


@lru_cache(KEYS)
def _hash(key: bytes) -> int:
    return murmur2(key) & 0x7FFFFFFF  # type: ignore[no-any-return]


async def _begun(producer: Any, batch: Batch) -> asyncio.Future[Any] | Exception:
    try:
        return await producer.send_batch(batch.builder, batch.topic, partition=batch.partition)  # type: ignore[no-any-return]
    except FAILURES as exc:
        return exc
