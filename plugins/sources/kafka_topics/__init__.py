"""Kafka: a member of a group of consumers, which says itself how far it is.

It is copied into images as it is, and imports nothing but its broker's client; see `modelyard.serving.events.source`.

Kafka remembers of each partition one number: everything before it is done. Events are done in any order; the number goes
up to the first that is not. It has no word for an event that rests, and does not count how often it handed one out.

Source: Apache Kafka, protocol; consumer groups. CloudEvents, bindings/kafka-protocol-binding.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from .client import (
    CONFIRM_S,
    CONNECT_S,
    FAILURES,
    SASL,
    WAIT_S,
    broken,
    client_settings,
    left,
    producer_of,
    topic_of,
    tried,
)
from .headers import headers_of, record_headers
from .progress import Progress
from .sending import Outgoing, send

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from modelyard.serving.events.source import Ending, Place

    from .peer import Peer
    from .transactions import Transactions

SILENT_S = 10.0
"""After so long without an event, the broker is asked whether it is there."""
LEAST_HAND_OVER_S = 10.0
FEWEST = 1000
"""So many done events may wait for one that is not, before no more of its partition is taken."""
SESSION_S = (6.0, 45.0)
"""What brokers allow by default, at least, and more than the most that is useful."""
NEVER_MS = 24 * 3600 * 1000
FETCH_BYTES = 16 << 20
_NOT_OURS = (CommitFailedError, IllegalStateError)


def open_source(place: Place) -> Kafka:
    """Return what takes events from the topic `place.input`.

    Raises:
        ValueError: the place cannot be one of Kafka; the message begins with the name of what is wrong with it.
    """
    url = urlsplit(place.url)
    if url.scheme not in ("kafka", "kafkas") or not url.hostname or url.path.strip("/"):
        msg = f"URL: {place.url!r}; allowed: kafka://HOST:PORT, or kafkas://HOST:PORT"
        raise ValueError(msg)
    if (sasl := os.environ.get("MODELYARD_EVENTS_SASL", SASL[0])) not in SASL:
        msg = f"SASL: {sasl!r}; allowed: {', '.join(SASL)}"
        raise ValueError(msg)
    if (once := os.environ.get("MODELYARD_EVENTS_EXACTLY_ONCE", "false").lower()) not in ("true", "false"):
        msg = f"EXACTLY_ONCE: {once!r}; allowed: true, false"
        raise ValueError(msg)
    return Kafka(place, once=once == "true")


def open_peer(place: Place) -> Peer:
    """Return who sends events to the topic `place.input`, and hears what becomes of them."""
    from .peer import Peer

    open_source(place)  # refuses what can be no place
    return Peer(place)


class KafkaDelivery:
    """A record of a topic; see `modelyard.serving.events.source.Delivery`."""

    __slots__ = ("body", "headers", "origin", "progress", "record")

    attempt = 1

    def __init__(self, record: Any, progress: Progress) -> None:
        self.record, self.progress = record, progress
        self.body: bytes = record.value or b""
        self.headers: Mapping[bytes, bytes] = headers_of(record)
        self.origin = f"{record.topic}/{record.partition}/{record.offset}"


class Kafka:
    """A topic; see `modelyard.serving.events.source.Source`."""

    rests = False

    def __init__(self, place: Place, *, once: bool = False) -> None:
        self._place = place
        self._once = once
        self._transactions: Transactions | None = None
        self._consumer: Any = None
        self._producer: Any = None
        self._is_broken = self._is_refused = False
        self._partitions: dict[int, Progress] = {}
        self._is_member = asyncio.Event()
        self._heard = 0.0

    async def open(self) -> None:
        """Connect; a member of the group stays one, with all that it holds, as long as the broker hears it."""
        if self._consumer is not None and not self._is_broken:
            with contextlib.suppress(ConnectionError):
                await self._ask_whether_it_is_there()
                if self._is_refused:
                    await tried(self._place, self._renew_producer())
                return
        await self.close()
        try:
            await tried(self._place, self._open())
        except ConnectionError:
            await self.close()
            raise

    async def take(self, most: int) -> Sequence[KafkaDelivery]:
        consumer = self._consumer
        if self._is_broken:
            msg = f"{self._place.url}: a partition could not be taken over, or a transaction failed"
            raise ConnectionError(msg)
        try:
            async with asyncio.timeout(2 * WAIT_S):  # it would wait for the end of a rebalance
                found = await consumer.getmany(timeout_ms=int(1000 * WAIT_S), max_records=most)
        except TimeoutError:
            found = {}
        except FAILURES as exc:
            self._is_broken = True
            raise broken(self._place, exc) from exc
        # nothing is awaited before every event is known as held: a rebalance must find it
        taken = [self._begun(one) for records in found.values() for one in records if self._is_ready(one)]
        self._wait_for_slow()
        if taken:
            self._heard = time.monotonic()
        elif time.monotonic() > self._heard + SILENT_S:
            await self._ask_whether_it_is_there()
        return taken

    async def settle(self, endings: Sequence[Ending[KafkaDelivery]]) -> Sequence[Exception | None]:
        if self._transactions is not None:
            return await self._settled_once(self._transactions, endings)
        failures = await send(self._producer, self._place, [self._outgoing(one) for one in endings])
        self._is_refused = any(isinstance(one, ConnectionError) for one in failures)
        changed = {}
        for ending, failure in zip(endings, failures, strict=True):
            progress = ending.delivery.progress
            if failure is None and ending.rest_s is None and progress.is_ours:
                progress.end(ending.delivery.record.offset)
                changed[progress.number] = progress
        await self._commit(changed.values())
        return failures

    async def keep(self, deliveries: Sequence[KafkaDelivery]) -> None:
        """Nothing: the client says by itself that it is there."""

    async def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        producer, self._producer = self._producer, None
        self._lose(list(self._partitions))
        await left(consumer)
        await left(producer)
        if self._transactions is not None:
            await self._transactions.lose()

    async def _open(self) -> None:
        place, common = self._place, client_settings(self._place)
        session_s = min(max(place.lease_s, SESSION_S[0]), SESSION_S[1])
        rebalance_s = 2 * self._hand_over_s() + CONFIRM_S
        # a request to join that is given up is made anew by another member, and the group waits for the first, too
        common["request_timeout_ms"] = int(1000 * (rebalance_s + session_s))
        self._consumer = AIOKafkaConsumer(
            **common,
            group_id=place.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            session_timeout_ms=int(1000 * session_s),
            heartbeat_interval_ms=1000,
            rebalance_timeout_ms=int(1000 * rebalance_s),
            max_poll_interval_ms=NEVER_MS,  # as long as all that may be held is, none is asked for
            fetch_max_bytes=FETCH_BYTES,
        )
        self._is_broken = False
        await asyncio.wait_for(self._consumer.start(), CONNECT_S)
        if self._once:
            from .transactions import Transactions  # most have none

            self._transactions = Transactions(place)
        else:
            await self._renew_producer()
        await topic_of(self._consumer, place, place.input)
        self._heard = time.monotonic()
        self._is_member.clear()
        self._consumer.subscribe([place.input], listener=Listener(self))
        with contextlib.suppress(TimeoutError):  # a member that was killed keeps the others waiting
            await asyncio.wait_for(self._is_member.wait(), CONNECT_S)

    async def _renew_producer(self) -> None:
        before, self._producer = self._producer, producer_of(self._place)
        await left(before)
        await asyncio.wait_for(self._producer.start(), CONNECT_S)
        self._is_refused = False

    async def _ask_whether_it_is_there(self) -> None:
        await tried(self._place, asyncio.wait_for(self._consumer.topics(), CONNECT_S))
        self._heard = time.monotonic()

    def _is_ready(self, record: Any) -> bool:
        """Tell whether a record may be begun: not before the partition is taken over, from where it is read again then."""
        return self._transactions is None or record.partition in self._partitions

    def _begun(self, record: Any) -> KafkaDelivery:
        progress = self._partitions.get(record.partition)
        if progress is None:
            self.gain([record.partition])
            progress = self._partitions[record.partition]
        progress.begin(record.offset)
        return KafkaDelivery(record, progress)

    def _wait_for_slow(self) -> None:
        """Have no more of the partitions where many done events wait for one that is not."""
        for number, progress in self._partitions.items():
            is_far = len(progress) > max(FEWEST, 10 * self._place.most)
            if is_far != progress.is_paused:
                progress.is_paused = is_far
                change = self._consumer.pause if is_far else self._consumer.resume
                change(TopicPartition(self._place.input, number))

    # What becomes of events.

    def _outgoing(self, ending: Ending[KafkaDelivery]) -> Outgoing | None:
        """Return what is to be sent for an event; None: nothing.

        With an order, nothing is sent for what is another's now, who answers it: it would come after others of its key.
        """
        record, place = ending.delivery.record, self._place
        if place.order == "key" and not ending.delivery.progress.is_ours:
            return None
        if ending.answer is not None:
            return Outgoing(place.output, record.key, ending.answer.body, record_headers(ending.answer.headers))
        if ending.dead_letter is None:
            return None
        return Outgoing(
            place.dead_letter, record.key, record.value, [*record.headers, *record_headers(ending.dead_letter)]
        )

    async def _settled_once(
        self, transactions: Transactions, endings: Sequence[Ending[KafkaDelivery]]
    ) -> Sequence[Exception | None]:
        """Settle partition by partition, each up to its first event that has not ended; the others wait for that."""
        groups: dict[Progress, dict[int, Ending[KafkaDelivery]]] = {}
        for one in endings:
            if one.rest_s is None and one.delivery.progress.is_ours:  # what is another's is answered by that one
                groups.setdefault(one.delivery.progress, {})[one.delivery.record.offset] = one
        told = await asyncio.gather(*(self._settled_part(transactions, *one) for one in groups.items()))
        found = dict(zip(groups, told, strict=True))
        return [found.get(one.delivery.progress, {}).get(one.delivery.record.offset) for one in endings]

    async def _settled_part(
        self, transactions: Transactions, progress: Progress, ended: Mapping[int, Ending[KafkaDelivery]]
    ) -> Mapping[int, Exception | None]:
        ready = progress.first_of(ended)
        waiting = {one: BlockingIOError("an event before it has not ended") for one in ended if one not in ready}
        if not ready:
            return waiting
        sent = {one: self._outgoing(ended[one]) for one in ready}
        try:
            problems = await transactions.commit(progress.number, sent)
        except ConnectionError as exc:
            self._is_broken = True  # whether it was committed, the broker says when the partition is taken over anew
            return waiting | dict.fromkeys(ready, exc)
        if problems:
            again = BlockingIOError("nothing was sent, because of another event")
            return waiting | {one: problems.get(one, again) for one in ready}
        for one in ready:
            progress.end(one)
        return waiting | dict.fromkeys(ready)

    async def _commit(self, changed: Iterable[Progress]) -> None:
        offsets = {
            TopicPartition(self._place.input, one.number): one.next
            for one in changed
            if one.is_ours and one.next is not None
        }
        if not offsets:
            return
        with contextlib.suppress(*_NOT_OURS):  # then they are handed out again, by whoever has them now
            try:
                await asyncio.wait_for(self._consumer.commit(offsets), CONFIRM_S)
            except _NOT_OURS:
                raise
            except FAILURES as exc:
                raise broken(self._place, exc) from exc

    # Whose partitions are whose.

    def _hand_over_s(self) -> float:
        return max(LEAST_HAND_OVER_S, self._place.lease_s)

    def gain(self, numbers: Iterable[int]) -> None:
        """These partitions are ours from now on, from what was committed of them."""
        self._is_member.set()
        for number in numbers:
            self._partitions.setdefault(number, Progress(number))

    async def take_over(self, numbers: Sequence[int]) -> None:
        """Begin with partitions: with transactions, from where these were committed once nobody else can commit more."""
        if self._transactions is not None:
            try:
                await self._transactions.gain(numbers)
                starts = await self._starts([TopicPartition(self._place.input, one) for one in numbers])
                # nothing is awaited up to `gain`: what `take` reads before is dropped
                for place, offset in starts.items():
                    self._consumer.seek(place, offset)
            except (*FAILURES, *_NOT_OURS):
                self._is_broken = True  # `take` says so; this is called by the client, which would only log it
                return
        self.gain(numbers)

    async def _starts(self, places: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Return from where each is to be read: where it was committed, whatever has been read ahead since."""
        found = {one: await self._consumer.committed(one) for one in places}
        new = [one for one, offset in found.items() if offset is None]
        return found | (await self._consumer.beginning_offsets(new) if new else {})

    async def hand_over(self) -> None:
        """Finish what is held, as far as that does not take too long: another may have it all."""
        gone = dict(self._partitions)
        end = time.monotonic() + self._hand_over_s()
        while any(one.is_ours and len(one) for one in gone.values()) and time.monotonic() < end:
            await asyncio.sleep(0.01)
        if self._transactions is None:
            with contextlib.suppress(ConnectionError):  # then they are handed out again
                await self._commit(gone.values())
        self._lose(gone)
        if self._transactions is not None:
            await self._transactions.lose()

    def _lose(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            if progress := self._partitions.pop(number, None):
                progress.is_ours = False


class Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Tells a source which partitions of its topic it has."""

    def __init__(self, source: Kafka) -> None:
        self._source = source

    async def on_partitions_revoked(self, _: Iterable[TopicPartition]) -> None:
        await self._source.hand_over()  # this client gives all away before a rebalance

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        await self._source.take_over([one.partition for one in assigned])
