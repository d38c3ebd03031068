"""Kafka: two brokers in memory, librdkafka's of its tests and Tansu; or a program that keeps what it has, where one is named.

Nothing that can be installed here is a broker of Kafka's protocol with passwords, TLS, transactions and a disk. `kafka_broker.go` beside
this makes one of a package for Go; `MODELYARD_TEST_KAFKA` names it.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.serving.events.brokers.broker import Broker, Message, event_headers

from modelyard_plugins.sources import kafka as kafka_source

PARTITIONS = 4
PROGRAM = os.environ.get("MODELYARD_TEST_KAFKA", "")


class KafkaBroker(Broker):
    """A program that speaks Kafka's protocol, with what it has in a folder."""

    program, module = PROGRAM, "aiokafka"
    client = "modelyard_plugins.sources.kafka_topics:open_source"
    counts = False
    loop: asyncio.AbstractEventLoop | None = None
    counter: Any = None

    @property
    def url(self) -> str:
        return f"{'kafkas' if self.certificate else 'kafka'}://127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        return {**super().settings, **({"EVENTS_SASL": "scram-sha-512"} if self.certificate else {})}

    def command(self) -> list[Any]:
        words = [self.program, "-port", self.port, "-dir", self.folder / "data"]
        if self.certificate:
            words += ["-cert", self.certificate / "tls.crt", "-key", self.certificate / "tls.key"]
            words += ["-user", self.user, "-password", self.password]
        return words

    @property
    def common(self) -> dict[str, Any]:
        given: dict[str, Any] = {"bootstrap_servers": f"127.0.0.1:{self.port}"}
        if self.certificate:
            given |= {"security_protocol": "SASL_SSL", "ssl_context": self.trusted(), "sasl_mechanism": "PLAIN"}
            given |= {"sasl_plain_username": self.user, "sasl_plain_password": self.password}
        return given

    def kill(self) -> None:
        if self.counter:
            self.ask(self.counter.stop)
            self.counter = None
        super().kill()

    def ask(self, step: Any) -> Any:
        if self.loop is None:
            self.loop = asyncio.new_event_loop()
        return self.loop.run_until_complete(asyncio.wait_for(step(), 60))

    def make(self, *, with_output: bool = True, members: Sequence[str] = ()) -> None:
        self._make([self.input, self.dead, *([self.output] if with_output else [])])

    def allow_output(self) -> None:
        self._make([self.output])

    def _make(self, names: Any) -> None:
        from aiokafka.admin import AIOKafkaAdminClient, NewTopic

        async def make() -> None:
            admin = AIOKafkaAdminClient(**self.common)
            await admin.start()
            try:
                await admin.create_topics([NewTopic(one, PARTITIONS, 1) for one in names])
            finally:
                await admin.close()

        self.ask(make)

    def send(self, bodies: Sequence[bytes], first: int = 0, keys: Sequence[str] | None = None) -> None:
        from aiokafka import AIOKafkaProducer

        async def send() -> None:
            producer = AIOKafkaProducer(**self.common)
            await producer.start()
            try:
                sent = []
                for number, body in enumerate(bodies, first):
                    key = keys[(number - first) % len(keys)] if keys else str(number)
                    headers = {
                        one.replace("ce-", "ce_"): value.encode() for one, value in event_headers(number).items()
                    }
                    sent.append(await producer.send(self.input, body, key.encode(), headers=list(headers.items())))
                await asyncio.gather(*sent)
            finally:
                await producer.stop()

        self.ask(send)

    def read(self, name: str) -> list[Message]:
        from aiokafka import AIOKafkaConsumer, TopicPartition

        async def read() -> list[Message]:
            places = [TopicPartition(name, number) for number in range(PARTITIONS)]
            consumer = AIOKafkaConsumer(**self.common, auto_offset_reset="earliest")
            await consumer.start()
            try:
                missing = sum((await consumer.end_offsets(places)).values())
                consumer.assign(places)
                found: list[Any] = []
                while len(found) < missing:
                    for records in (await consumer.getmany(timeout_ms=200)).values():
                        found += records
            finally:
                await consumer.stop()
            return [Message(self._headers(one), one.value) for one in found]

        return self.ask(read)

    def committed(self, name: str) -> list[Message]:
        """Return what whoever reads only what is committed finds, once nothing more comes."""

        async def read() -> list[Message]:
            return [Message(self._headers(one), one.value) for one in await self._committed(name)]

        return self.ask(read)

    async def _committed(self, name: str) -> list[Any]:
        from aiokafka import AIOKafkaConsumer, TopicPartition

        given = {"auto_offset_reset": "earliest", "isolation_level": "read_committed"}
        async with AIOKafkaConsumer(**self.common, **given) as consumer:
            consumer.assign([TopicPartition(name, number) for number in range(PARTITIONS)])
            found: list[Any] = []
            while came := [one for some in (await consumer.getmany(timeout_ms=700)).values() for one in some]:
                found += came
            return found

    def voids_what_was_not_committed(self) -> bool:
        """Tell whether nobody reads what a producer had not committed when another took its name over, as in Kafka."""
        from aiokafka import AIOKafkaProducer
        from aiokafka.errors import CorruptRecordException

        topic = f"{self.input}-transactions"
        self._make([topic])

        async def read() -> list[bytes]:
            async with contextlib.AsyncExitStack() as stack:
                for body in (b"left open", b"committed"):
                    producer = AIOKafkaProducer(**self.common, transactional_id=topic)
                    await producer.start()
                    stack.push_async_callback(_ended, producer)
                    await producer.begin_transaction()
                    await producer.send_and_wait(topic, body, partition=0)
                await producer.commit_transaction()
            return [one.value for one in await self._committed(topic)]

        try:
            return bool(self.ask(read) == [b"committed"])
        except CorruptRecordException:  # librdkafka's mock keeps transactions in no form that a reader takes
            return False

    def _headers(self, record: Any) -> dict[str, str]:
        return {name.replace("ce_", "ce-"): value.decode() for name, value in record.headers}

    def count(self, name: str) -> int:
        return sum(self._ends(name).values())

    def _ends(self, name: str) -> Any:
        from aiokafka import AIOKafkaConsumer, TopicPartition
        from aiokafka.errors import KafkaError

        async def ends() -> Any:
            if self.counter is None:
                counter = AIOKafkaConsumer(**self.common)
                await counter.start()
                self.counter = counter
            return await self.counter.end_offsets([TopicPartition(name, number) for number in range(PARTITIONS)])

        with contextlib.suppress(KafkaError, TimeoutError, OSError):
            return self.ask(ends)
        return {}

    def waiting(self) -> int:
        from aiokafka import AIOKafkaConsumer, TopicPartition

        async def done() -> Any:
            consumer = AIOKafkaConsumer(**self.common, group_id=self.group, enable_auto_commit=False)
            await consumer.start()
            try:
                places = [TopicPartition(self.input, number) for number in range(PARTITIONS)]
                consumer.assign(places)
                return sum([await consumer.committed(one) or 0 for one in places])
            finally:
                await consumer.stop()

        return self.count(self.input) - self.ask(done)


async def _ended(producer: Any) -> None:
    """Stop a producer, which may hold a transaction that is void."""
    with contextlib.suppress(Exception):
        await asyncio.wait_for(producer.stop(), 3)


class MockCluster(KafkaBroker):
    """The broker within librdkafka, in a process of its own.

    It has all in memory: instead of killing it, it is stopped, and goes on. Topics are made when they are named. Once a member
    has its share, another may have none for minutes: it loses requests to join, which are made again when they are given up.
    """

    program, module = sys.executable, "confluent_kafka"
    has_passwords = refuses = sets_up = False
    server_kills = 1  # it waits for each that was killed until that would have been heard, and as long again
    hears_to_the_end = False  # it takes no commits once a rebalance has begun
    code = """
import ctypes
import time
from confluent_kafka import cimpl
kafka = ctypes.CDLL(cimpl.__file__)  # its functions are those of librdkafka, too
kafka.rd_kafka_new.restype = kafka.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
kafka.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
client = ctypes.c_void_p(kafka.rd_kafka_new(0, None, None, ctypes.c_size_t(0)))
cluster = ctypes.c_void_p(kafka.rd_kafka_mock_cluster_new(client, 1))
kafka.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 100)  # a group's first member waits 3 s otherwise
print(kafka.rd_kafka_mock_cluster_bootstraps(cluster).decode().rpartition(":")[2], flush=True)
time.sleep(1e6)
"""

    def start(self) -> None:
        if getattr(self, "process", None) is None:
            words = [self.program, "-c", self.code]
            self.process = subprocess.Popen(
                words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
            )
            assert self.process.stdout
            self.port = int(self.process.stdout.readline())
        else:
            self.process.send_signal(signal.SIGCONT)

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def _make(self, names: Any) -> None:
        from aiokafka import AIOKafkaProducer

        async def make() -> None:
            producer = AIOKafkaProducer(**self.common)
            await producer.start()
            try:
                for name in names:
                    assert len(await producer.partitions_for(name)) == PARTITIONS
            finally:
                await producer.stop()

        self.ask(make)


class Tansu(KafkaBroker):
    """A broker that has all in memory, and no transactions. A member of a group has its share within seconds.

    As the end of a topic it tells the place of the last batch, not of the last record: what is there is what was read.
    """

    has_passwords = refuses = False

    def __init__(self, folder: Path, certificate: Path | None = None) -> None:
        self.program = kafka_source.tansu()
        super().__init__(folder, certificate)

    def command(self) -> list[Any]:
        where = f"tcp://127.0.0.1:{self.port}"
        listening = ("--listener-url", where, "--advertised-listener-url", where)
        return [self.program, "broker", *listening, "--storage-engine", "memory://tansu/", "--silent"]

    def begin(self, name: str) -> None:
        super().begin(name)
        self.readers: dict[str, Any] = {}
        self.found: dict[str, list[Message]] = collections.defaultdict(list)

    def end(self) -> None:
        for reader in self.readers.values():
            self.ask(reader.stop)

    def read(self, name: str) -> list[Message]:
        async def more() -> bool:
            if name not in self.readers:
                self.readers[name] = await self._reader(name)
            came = (await self.readers[name].getmany(timeout_ms=50)).values()
            self.found[name] += [Message(self._headers(one), one.value) for records in came for one in records]
            return bool(came)

        while self.ask(more):
            pass
        return list(self.found[name])

    async def _reader(self, name: str) -> Any:
        from aiokafka import AIOKafkaConsumer, TopicPartition

        reader = AIOKafkaConsumer(**self.common, auto_offset_reset="earliest")
        await reader.start()
        reader.assign([TopicPartition(name, number) for number in range(PARTITIONS)])
        return reader

    def count(self, name: str) -> int:
        return len(self.read(name))
