"""The other side of Kafka: who makes the topics, sends events and hears what became of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from .client import CONFIRM_S, CONNECT_S, FAILURES, broken, client_settings, left, producer_of, topic_of, tried
from .headers import headers_of, record_headers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelyard.serving.events.peer import Heard, Sent
    from modelyard.serving.events.source import Place

WAIT_S = 0.5
PARTITIONS, REPLICAS = 4, 1


@dataclass(frozen=True, slots=True)
class Back:
    """What came back; see `modelyard.serving.events.peer.Heard`."""

    is_dead: bool
    headers: Mapping[str, str]
    body: bytes


class Peer:
    """See `modelyard.serving.events.peer.Peer`."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._consumer: Any = None
        self._producer: Any = None
        self._unheard: set[str] = set()

    async def open(self) -> None:
        await self.close()
        await tried(self._place, self._open())

    async def prepare(self) -> Sequence[str]:
        place = self._place
        topics = list(dict.fromkeys((place.input, place.output, place.dead_letter)))
        await tried(place, self._make(topics))
        await self.open()
        return [f"topic {one!r}" for one in topics]

    async def send(self, events: Sequence[Sent]) -> None:
        place = self._place
        await topic_of(self._producer, place, place.input)
        try:
            sent = [await self._begin_to_send(one) for one in events]
            await asyncio.wait_for(asyncio.gather(*sent), CONFIRM_S)
        except FAILURES as exc:
            msg = f"{place.url}: {place.input!r}: {broken(place, exc)}"
            raise ConnectionError(msg) from exc

    async def read(self) -> Sequence[Heard]:
        if self._unheard:  # a broker may make a topic when something is sent to it: all of it is new
            await tried(self._place, self._listen(is_new=True))
        if not self._consumer.assignment():
            await asyncio.sleep(WAIT_S)  # there is no topic that anything could come to
            return []
        found = await tried(self._place, self._consumer.getmany(timeout_ms=int(1000 * WAIT_S)))
        return [self._back(one) for records in found.values() for one in records]

    async def close(self) -> None:
        clients, self._consumer, self._producer = (self._consumer, self._producer), None, None
        for client in clients:
            await left(client)

    async def _open(self) -> None:
        place = self._place
        given = {**client_settings(place), "isolation_level": "read_committed"}
        self._consumer, self._producer = AIOKafkaConsumer(**given), producer_of(place)
        await asyncio.wait_for(self._consumer.start(), CONNECT_S)
        await asyncio.wait_for(self._producer.start(), CONNECT_S)
        self._unheard = {place.output, place.dead_letter}
        await self._listen(is_new=False)

    async def _listen(self, *, is_new: bool) -> None:
        """Hear the two topics, as far as they are there: from now on, or from their beginning if they are new."""
        consumer = self._consumer
        found = sorted(self._unheard & await consumer.topics())
        if not found:
            return
        for topic in found:
            await topic_of(consumer, self._place, topic)
        added = [TopicPartition(topic, number) for topic in found for number in consumer.partitions_for_topic(topic)]
        before = {one: await consumer.position(one) for one in consumer.assignment()}
        consumer.assign([*before, *added])
        for one, position in before.items():
            consumer.seek(one, position)
        seek = consumer.seek_to_beginning if is_new else consumer.seek_to_end
        await asyncio.wait_for(seek(*added), CONNECT_S)
        self._unheard -= set(found)

    async def _make(self, topics: Sequence[str]) -> None:
        admin = AIOKafkaAdminClient(**client_settings(self._place))
        await asyncio.wait_for(admin.start(), CONNECT_S)
        try:
            missing = set(topics) - set(await admin.list_topics())
            made = [NewTopic(one, PARTITIONS, REPLICAS) for one in topics if one in missing]
            answer = await admin.create_topics(made) if made else None
        except AttributeError as exc:  # so the client says that no broker is the controller
            msg = f"{self._place.url}: no broker makes topics now: none is the controller; try again later, or make them: {', '.join(topics)}"
            raise ConnectionError(msg) from exc
        finally:
            await admin.close()
        for topic, code, *said in answer.topic_errors if answer else ():
            if code and for_code(code) is not TopicAlreadyExistsError:
                msg = f"{self._place.url}: topic {topic!r}: {(said and said[0]) or for_code(code).message}"
                raise ConnectionError(msg)

    async def _begin_to_send(self, event: Sent) -> asyncio.Future[Any]:
        fields = {"ce-datacontenttype" if one == "content-type" else one: said for one, said in event.headers.items()}
        key = unquote(event.headers.get("ce-partitionkey", "")).encode() or None
        return await self._producer.send(  # type: ignore[no-any-return]
            self._place.input, event.body, key, headers=record_headers(fields)
        )

    def _back(self, record: Any) -> Back:
        headers = {name.decode(): value.decode("latin-1") for name, value in headers_of(record).items()}
        return Back(record.topic == self._place.dead_letter, headers, record.value or b"")
