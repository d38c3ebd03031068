"""Events from a real NATS JetStream: whatever is killed, none is lost."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time

import nats
import numpy as np
import pytest

pytestmark = pytest.mark.skipif(shutil.which("nats-server") is None, reason="needs the program nats-server")


class Broker:
    def __init__(self, folder):
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        self.command = ["nats-server", "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(folder)]
        self.url = f"nats://127.0.0.1:{self.port}"

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.05)

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def broker(tmp_path):
    broker = Broker(tmp_path / "jetstream")
    broker.start()
    yield broker
    broker.kill()


def event_headers(number):
    return {
        "ce-specversion": "1.0",
        "ce-id": str(number),
        "ce-source": "/camera",
        "ce-type": "picture",
        "content-type": "application/octet-stream",
    }


async def send(broker, raw, count, poison=()):
    client = await nats.connect(broker.url)
    stream = client.jetstream()
    await stream.add_stream(name="in", subjects=["in"])
    await stream.add_stream(name="out", subjects=["out", "in.dead"])
    for number in range(count):
        body = b"poison" if number in poison else raw[number % len(raw)].tobytes()
        await stream.publish("in", body, headers=event_headers(number))
    await client.close()


async def collect(broker, subject, count, timeout_s=60):
    """Return what is on `subject`, once it holds `count` different causes and nothing is pending."""
    client = await nats.connect(broker.url)
    stream = client.jetstream()
    reader = await stream.pull_subscribe(subject, stream="out")
    found, end = [], time.monotonic() + timeout_s
    while len({cause_of(one) for one in found}) < count:
        assert time.monotonic() < end, len(found)
        try:
            for message in await reader.fetch(100, timeout=0.5):
                await message.ack()
                found.append(message)
        except TimeoutError:
            pass
    await client.close()
    return found


async def waiting(broker):
    """Return how many events are not acknowledged."""
    client = await nats.connect(broker.url)
    info = await client.jetstream().consumer_info("in", "digits")
    await client.close()
    return info.num_pending + info.num_ack_pending


async def answered(broker, least):
    """Return how many answers and dead letters there are, once these are `least`."""
    client = await nats.connect(broker.url)
    found, end = 0, time.monotonic() + 30
    while found < least:
        assert time.monotonic() < end, found
        found = (await client.jetstream().stream_info("out")).state.messages
    found = (await client.jetstream().stream_info("out")).state.messages
    await client.close()
    return found


def metrics_of(server, *wanted):
    """Return the server's metrics, once they have these lines: what is confirmed is counted a moment later."""
    end = time.monotonic() + 10
    with server.client() as client:
        while True:
            told = client.get("/metrics").text
            if all(line in told for line in wanted):
                return told
            assert time.monotonic() < end, told
            time.sleep(0.02)


def cause_of(message):
    return message.headers.get("ce-causationid") or message.headers["ce-id"]


SETTINGS = {
    "EVENTS_CLIENT": "modelyard_plugins.sources.nats_jetstream:open_source",
    "EVENTS_INPUT": "in",
    "EVENTS_OUTPUT": "out",
    "EVENTS_ACK_WAIT_S": "1",
}


def test_events_are_answered_and_poison_is_a_dead_letter(broker, start, models, raw, expected):
    asyncio.run(send(broker, raw, 7, poison={3}))
    with start(models / "float32", EVENTS_URL=broker.url, **SETTINGS) as server:
        answers = asyncio.run(collect(broker, "out", 6))
        (dead,) = asyncio.run(collect(broker, "in.dead", 1))
        assert server.stop() == 0
    right = expected(models / "float32", raw)

    for answer in answers:
        found = json.loads(answer.data)["predictions"][0]
        np.testing.assert_allclose(found, right[int(cause_of(answer))], atol=1e-6)
    assert dead.data == b"poison"
    assert {name: dead.headers[name] for name in event_headers(3)} == event_headers(3)
    assert dead.headers["ce-errorreason"] == "unprocessable"
    assert dead.headers["ce-knativeerrorcode"] == "400"
    assert asyncio.run(waiting(broker)) == 0


def test_no_event_is_lost_when_the_server_is_killed(broker, start, models, raw):
    random_, count, done = random.Random(1), 500, 0
    asyncio.run(send(broker, raw, count))
    for _ in range(20 if os.environ.get("MODELYARD_TEST_LONG_EVENTS") else 4):
        with start(models / "float32", EVENTS_URL=broker.url, **SETTINGS) as server:
            asyncio.run(answered(broker, min(count, done + random_.randint(1, 25))))
            server.stop(signal.SIGKILL)
        done = asyncio.run(answered(broker, 0))
    with start(models / "float32", EVENTS_URL=broker.url, **SETTINGS) as server:
        answers = asyncio.run(collect(broker, "out", count))
        assert server.stop() == 0

    ids = {}
    for answer in answers:
        ids.setdefault(cause_of(answer), set()).add(answer.headers["ce-id"])
    assert sorted(map(int, ids)) == list(range(count))
    assert {len(one) for one in ids.values()} == {1}


def test_no_event_is_lost_when_the_broker_is_killed(broker, start, models, raw):
    count = 500
    asyncio.run(send(broker, raw, count))
    with start(models / "float32", EVENTS_URL=broker.url, **SETTINGS) as server:
        for _ in range(3):
            time.sleep(0.1)
            broker.kill()
            time.sleep(0.3)
            broker.start()
            time.sleep(0.5)
        answers = asyncio.run(collect(broker, "out", count))
        assert server.stop() == 0

    assert {int(cause_of(answer)) for answer in answers} == set(range(count))


def test_what_the_model_fails_on_is_tried_again_and_then_a_dead_letter(broker, start, models, raw, tmp_path):
    """The failing event fails no other, and a prediction that takes longer than the lease is made once."""
    (tmp_path / "slow.py").write_text(
        "import time\nimport numpy as np\n"
        "class Slow:\n"
        "    def predict(self, raw):\n"
        "        if (raw == 16).all():\n"
        "            raise RuntimeError('sixteen')\n"
        "        time.sleep(2.5 if (raw == 15).all() else 0)\n"
        "        return np.full((len(raw), 10), 0.1, np.float32)\n"
        "def open_model(folder, threads=1):\n    return Slow()\n"
    )
    samples = np.stack([raw[0], np.full_like(raw[0], 16), raw[1], np.full_like(raw[0], 15)])
    asyncio.run(send(broker, samples, 4))
    settings = {**SETTINGS, "BACKEND": "slow:open_model", "EVENTS_ATTEMPTS": "3", "EVENTS_RETRY_S": "0.1"}
    command = [sys.executable, "-m", "modelyard.serving"]
    with start(models / "float32", command, tmp_path, EVENTS_URL=broker.url, **settings) as server:
        answers = asyncio.run(collect(broker, "out", 3))
        (dead,) = asyncio.run(collect(broker, "in.dead", 1))
        told = metrics_of(server, 'modelyard_events_total{outcome="failed"} 1\n', 'outcome="done"} 3\n')
        assert server.stop() == 0

    assert sorted(cause_of(answer) for answer in answers) == ["0", "2", "3"]
    assert (dead.headers["ce-id"], dead.headers["ce-errorreason"]) == ("1", "failed")
    assert dead.headers["ce-errorattempts"] == "3"
    assert dead.data == samples[1].tobytes()
    assert 'modelyard_events_total{outcome="returned"} 2\n' in told


def test_events_that_are_held_when_the_server_stops_are_answered(broker, start, models, raw):
    """Nothing is left with a server that has gone: what was taken is done, the rest is there for the next."""
    count = 300
    asyncio.run(send(broker, raw, count))
    with start(models / "float32", EVENTS_URL=broker.url, **SETTINGS) as server:
        time.sleep(0.3)
        assert server.stop() == 0
    with start(models / "float32", EVENTS_URL=broker.url, **SETTINGS) as server:
        answers = asyncio.run(collect(broker, "out", count))
        assert server.stop() == 0

    assert len(answers) == count
    assert asyncio.run(waiting(broker)) == 0
