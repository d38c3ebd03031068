"""Weigh a message: CPU of who takes an event from NATS, Redis or Kafka, answers it and acknowledges it.

    python benchmarks/events.py [--faststream PYTHON] [--model FOLDER] [--brokers NAME ...] [--kafka PROGRAM]
                                [--events 5000] [--rounds 3]

Bare loops of nats-py, redis-py and aiokafka, FastStream, and modelyard's server take turns at the same broker, with the
same model, which answers at once: ten numbers for 64 bytes. The loops take 64 at a time, send the answers and acknowledge;
they check, count and log nothing. Needs nats-server and redis-server, modelyard[nats,kafka], redis, confluent-kafka, whose
library holds a broker, and orjson; FastStream (its extras nats, redis and kafka, numpy, orjson) in the environment of
PYTHON. With FOLDER, a LiteRT model and its model.json, the server answers with that model, too, beside what the model alone
takes. PROGRAM is another broker of Kafka, which takes -port and -dir, such as the one that
tests/serving/events/brokers/kafka_broker.go makes. The ratios are what counts.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADERS = {
    "ce-specversion": "1.0",
    "ce-source": "/camera",
    "ce-type": "picture",
    "content-type": "application/octet-stream",
}
BODY = bytes(64)

MODEL = """
import numpy as np
class Stub:
    def predict(self, raw): return np.full((len(raw), 10), 0.1, np.float32)
def open_model(folder=None, threads=1): return Stub()
"""

ANSWER = """
import asyncio, hashlib, orjson, sys
import numpy as np
from stub import open_model
model = open_model()
def answer(data):
    found = model.predict(np.frombuffer(data, np.uint8).reshape(-1, 8, 8, 1))
    return orjson.dumps({"predictions": found}, option=orjson.OPT_SERIALIZE_NUMPY)
def headers(found):
    return {"ce-specversion": "1.0", "ce-source": "urn:m", "ce-type": "result", "ce-causationid": found["ce-id"],
            "ce-id": hashlib.sha256(found["ce-id"].encode()).hexdigest()[:32]}
"""

NATS = """
import nats
async def main():
    client = await nats.connect("URL")
    stream = client.jetstream()
    pull = await stream.pull_subscribe("in", durable="g")
    while True:
        try:
            taken = await pull.fetch(64, timeout=1)
        except nats.errors.TimeoutError:
            continue
        sent = [await stream.publish_async("out", answer(one.data), headers=headers(one.headers)) for one in taken]
        await asyncio.gather(*sent)
        for one in taken:
            await one.ack()
asyncio.run(main())
"""

REDIS = """
import redis.asyncio as redis
async def main():
    client = redis.Redis.from_url("URL")
    await client.xgroup_create("in", "g", "0", mkstream=True)
    while True:
        for _, taken in await client.xreadgroup("g", "me", {"in": ">"}, count=64, block=1000) or ():
            async with client.pipeline(transaction=True) as pipe:
                for number, fields in taken:
                    found = {"ce-id": fields[b"ce-id"].decode()}
                    pipe.xadd("out", {**headers(found), "data": answer(fields[b"data"])})
                    pipe.xack("in", "g", number)
                await pipe.execute()
asyncio.run(main())
"""

KAFKA = """
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
async def main():
    taking = AIOKafkaConsumer("in", bootstrap_servers="URL", group_id="g", enable_auto_commit=False, auto_offset_reset="earliest")
    sending = AIOKafkaProducer(bootstrap_servers="URL", acks="all")
    await taking.start()
    await sending.start()
    while True:
        found = await taking.getmany(timeout_ms=1000, max_records=64)
        sent = []
        for one in [one for some in found.values() for one in some]:
            about = {name.replace("_", "-"): value.decode() for name, value in one.headers}
            given = [(name.replace("-", "_"), value.encode()) for name, value in headers(about).items()]
            sent.append(await sending.send("out", answer(one.value), one.key, headers=given))
        if sent:
            await asyncio.gather(*sent)
            await taking.commit()
asyncio.run(main())
"""

FASTSTREAM_NATS = """
from faststream import FastStream
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
broker = NatsBroker("URL", logger=None)
@broker.subscriber("in", stream=JStream("in", declare=False), durable="g", pull_sub=PullSub(batch_size=64))
async def take(data: bytes, message: NatsMessage) -> None:
    await broker.publish(answer(data), "out", headers=headers(message.headers), stream="out")
asyncio.run(FastStream(broker).run())
"""

FASTSTREAM_KAFKA = """
from faststream import FastStream
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.middlewares import AckPolicy
broker = KafkaBroker("URL", acks="all", logger=None)
@broker.subscriber("in", group_id="g", auto_offset_reset="earliest", ack_policy=AckPolicy.REJECT_ON_ERROR)
async def take(data: bytes, message: KafkaMessage) -> None:
    about = headers({name.replace("_", "-"): value for name, value in message.headers.items()})
    given = {name.replace("-", "_"): value for name, value in about.items()}
    await broker.publish(answer(data), "out", key=message.raw_message.key, headers=given)
asyncio.run(FastStream(broker).run())
"""

MOCK_CLUSTER = """
import sys, time
from confluent_kafka import Producer
held = Producer({"test.mock.num.brokers": 1, "test.mock.broker.rtt": 0})
open(sys.argv[1], "w").write(str(next(iter(held.list_topics().brokers.values())).port))
time.sleep(1e6)
"""

FASTSTREAM_REDIS = """
from faststream import FastStream
from faststream.redis import RedisBroker, RedisStreamMessage, StreamSub
broker = RedisBroker("URL", logger=None)
@broker.subscriber(stream=StreamSub("in", group="g", consumer="me", max_records=64))
async def take(data: bytes, message: RedisStreamMessage) -> None:
    await broker.publish(answer(data), stream="out", headers=headers({"ce-id": "1"}))
asyncio.run(FastStream(broker).run())
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faststream", help="the Python of an environment with FastStream (default: leave it out)")
    parser.add_argument("--model", help="a LiteRT model's folder (default: leave it out)")
    parser.add_argument("--kafka", default="", help="a broker of Kafka (default: that of librdkafka's tests)")
    parser.add_argument("--brokers", nargs="+", default=list(KINDS), choices=list(KINDS), help="default: all")
    parser.add_argument("--events", type=int, default=5000, help="how many events a round has")
    parser.add_argument("--rounds", type=int, default=3, help="how often each has its turn")
    options = parser.parse_args()
    Kafka.program = options.kafka
    for broker in [KINDS[name] for name in options.brokers]:
        with tempfile.TemporaryDirectory(prefix="modelyard-events-") as folder:
            place = Path(folder)
            (place / "stub.py").write_text(MODEL)
            write_facts(place)
            found: dict[str, list[float]] = {}
            for _ in range(options.rounds):
                for name, command, variables in who(broker, place, options):
                    found.setdefault(name, []).append(weigh(broker, place, command, variables, options.events))
            report(broker.name, found)
    if options.model:
        print(f"the model alone, in process: {alone_us(Path(options.model)):.0f} us a sample")


class Nats:
    name, client = "nats", "modelyard_plugins.sources.nats_jetstream:open_source"
    bare, framework = NATS, FASTSTREAM_NATS

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self.words = ["nats-server", "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(folder)]

    async def make(self) -> None:
        async with self.stream() as stream:
            for name in ("in", "out", "in.dead"):
                await stream.add_stream(name=name.replace(".", "-"), subjects=[name])

    async def send(self, count: int) -> None:
        async with self.stream() as stream:
            for start in range(0, count, 500):
                sent = [
                    await stream.publish_async("in", BODY, headers={**HEADERS, "ce-id": str(number)})
                    for number in range(start, min(count, start + 500))
                ]
                await asyncio.gather(*sent)

    async def count(self) -> int:
        async with self.stream() as stream:
            return int((await stream.stream_info("out")).state.messages)

    @contextlib.asynccontextmanager
    async def stream(self) -> Any:
        import nats

        client = await nats.connect(self.url)
        try:
            yield client.jetstream()
        finally:
            await client.close()


class Redis:
    name, client = "redis", "modelyard_plugins.sources.redis_streams:open_source"
    bare, framework = REDIS, FASTSTREAM_REDIS

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.words = [
            "redis-server",
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(folder),
            "--save",
            "",
        ]

    @property
    def redis(self) -> Any:
        import redis

        return redis.Redis(port=self.port)

    async def make(self) -> None:
        """A stream is there with its first entry."""

    async def send(self, count: int) -> None:
        for start in range(0, count, 500):
            with self.redis.pipeline(transaction=False) as pipe:
                for number in range(start, min(count, start + 500)):
                    pipe.xadd("in", {**HEADERS, "ce-id": str(number), "data": BODY})
                pipe.execute()

    async def count(self) -> int:
        return int(self.redis.xlen("out"))


class Kafka:
    name, client = "kafka", "modelyard_plugins.sources.kafka_topics:open_source"
    bare, framework = KAFKA, FASTSTREAM_KAFKA
    program = ""

    def __init__(self, folder: Path) -> None:
        self.told = folder / "port"
        self.words = [sys.executable, "-c", MOCK_CLUSTER, str(self.told)]
        if self.program:
            self.told.write_text(str(free_port()))
            self.words = [self.program, "-port", str(self.port), "-dir", str(folder / "data")]

    @property
    def port(self) -> int:
        while not (self.told.exists() and self.told.read_text()):
            time.sleep(0.05)
        return int(self.told.read_text())

    @property
    def url(self) -> str:
        return f"kafka://127.0.0.1:{self.port}"

    @property
    def given(self) -> dict[str, str]:
        return {"bootstrap_servers": f"127.0.0.1:{self.port}"}

    async def make(self) -> None:
        from aiokafka import AIOKafkaProducer
        from aiokafka.admin import AIOKafkaAdminClient, NewTopic

        names = ("in", "out", "in.dead")
        if self.program:
            admin = AIOKafkaAdminClient(**self.given)
            await admin.start()
            await admin.create_topics([NewTopic(name, 4, 1) for name in names])
            await admin.close()
        async with AIOKafkaProducer(**self.given) as producer:
            for name in names:  # the broker of librdkafka makes topics when they are named
                await producer.partitions_for(name)

    async def send(self, count: int) -> None:
        from aiokafka import AIOKafkaProducer

        async with AIOKafkaProducer(**self.given) as producer:
            for start in range(0, count, 500):
                sent = [
                    await producer.send("in", BODY, str(number).encode(), headers=self._headers(number))
                    for number in range(start, min(count, start + 500))
                ]
                await asyncio.gather(*sent)

    def _headers(self, number: int) -> list[tuple[str, bytes]]:
        said = {**HEADERS, "ce-id": str(number)}
        return [(name.replace("ce-", "ce_"), value.encode()) for name, value in said.items()]

    async def count(self) -> int:
        from aiokafka import AIOKafkaConsumer, TopicPartition

        async with AIOKafkaConsumer(**self.given) as consumer:
            return sum((await consumer.end_offsets([TopicPartition("out", number) for number in range(4)])).values())


KINDS: dict[str, Any] = {kind.name: kind for kind in (Nats, Redis, Kafka)}


def who(broker: Any, place: Path, options: Any) -> Iterator[tuple[str, list[str], dict[str, str]]]:
    """Yield what is weighed: its name, its command, in which URL is the broker's, and its variables."""
    yield f"bare {broker.name}", [sys.executable, "-c", ANSWER + broker.bare], {}
    if options.faststream:
        yield "FastStream", [options.faststream, "-c", ANSWER + broker.framework], {}
    server = {
        "MODELYARD_EVENTS_CLIENT": broker.client,
        "MODELYARD_EVENTS_URL": "URL",
        "MODELYARD_EVENTS_INPUT": "in",
        "MODELYARD_EVENTS_OUTPUT": "out",
        "MODELYARD_EVENTS_GROUP": "g",
        "MODELYARD_PORT": "0",
        "MODELYARD_DRAIN_S": "0",
    }
    command = [sys.executable, "-m", "modelyard.serving"]
    stub = {"MODELYARD_MODEL_DIR": str(place), "MODELYARD_BACKEND": "stub:open_model"}
    yield "modelyard", command, {**server, **stub}
    if options.model:
        yield "modelyard, with the model", command, {**server, "MODELYARD_MODEL_DIR": options.model}


def weigh(kind: Any, place: Path, command: list[str], variables: dict[str, str], events: int) -> float:
    """Return the CPU that one event takes, in microseconds; the process has started before the first comes."""
    with tempfile.TemporaryDirectory(prefix="modelyard-broker-") as folder:
        broker = kind(Path(folder))
        with process(broker.words, {}, place):
            wait_for(broker.port)
            asyncio.run(broker.make())
            words = [word.replace("URL", broker.url.removeprefix("kafka://")) for word in command]
            own = {name: value.replace("URL", broker.url) for name, value in variables.items()}
            with process(words, own, place) as taking:
                time.sleep(3)
                before = cpu_s(taking.pid)
                asyncio.run(broker.send(events))
                end = time.monotonic() + 120
                while asyncio.run(broker.count()) < events:
                    if taking.poll() is not None or time.monotonic() > end:
                        sys.exit(f"{command[:3]}: it does not answer all {events} events")
                    time.sleep(0.1)
                time.sleep(0.5)  # the last acknowledgements
                return (cpu_s(taking.pid) - before) / events * 1e6


@contextlib.contextmanager
def process(words: list[str], variables: dict[str, str], place: Path) -> Iterator[subprocess.Popen[bytes]]:
    env = {**os.environ, "PYTHONPATH": str(place), **variables}
    started = subprocess.Popen(words, env=env, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def wait_for(port: int) -> None:
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_facts(place: Path) -> None:
    """Write `model.json` of a model that takes pictures of 8 x 8 and answers ten numbers."""
    (place / "model.bin").touch()
    facts = {
        "task": "classification",
        "inputs": [{"name": "input", "dtype": "uint8", "shape": [8, 8, 1]}],
        "outputs": [{"name": "numbers", "shape": [10]}],
        "format": "stub",
        "file": "model.bin",
    }
    (place / "model.json").write_text(json.dumps(facts))


def alone_us(folder: Path) -> float:
    """Return what the model takes for one sample, in this process, in microseconds of CPU."""
    import numpy as np

    from modelyard.serving.backends.litert import open_model
    from modelyard.serving.model import Facts

    model, shape = open_model(folder), Facts.read(folder).inputs[0].shape
    raw = np.zeros((1, *(size or 1 for size in shape)), np.uint8)
    before = time.process_time()
    for _ in range(2000):
        model.predict(raw)
    return (time.process_time() - before) / 2000 * 1e6


def report(name: str, found: dict[str, list[float]]) -> None:
    base = statistics.median(found[f"bare {name}"])
    print(f"{name}, CPU a message, medians of {len(found[f'bare {name}'])} rounds")
    for who_, values in found.items():
        middle = statistics.median(values)
        print(f"  {who_:<28} {middle:7.0f} us  {middle / base:5.2f} x  ({min(values):.0f} to {max(values):.0f})")


if __name__ == "__main__":
    main()
