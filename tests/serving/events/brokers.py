"""Brokers of events, each a program that runs here, and how others speak to it: by another client than ours."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass

import pytest
from tests.standins.tls import free_port


def event_headers(number):
    return {
        "ce-specversion": "1.0",
        "ce-id": str(number),
        "ce-source": "/camera",
        "ce-type": "picture",
        "content-type": "application/octet-stream",
    }


@dataclass
class Message:
    """What a stream holds."""

    headers: dict[str, str]
    data: bytes

    @property
    def cause(self):
        return self.headers.get("ce-causationid") or self.headers["ce-id"]


class Broker:
    """A program that listens on a free port; `in`, `out` and `in.dead` are its streams."""

    program = ""
    user, password = "ann", "s3cret"

    def __init__(self, folder, certificate=None):
        """Make ready; with the folder of a certificate it speaks TLS alone, and asks for a password."""
        if shutil.which(self.program) is None:
            missing = pytest.fail if os.environ.get("MODELYARD_REQUIRE_SERVICES") else pytest.skip
            missing(f"needs the program {self.program}")
        self.port = free_port()
        self.folder, self.certificate = folder, certificate
        folder.mkdir()

    def start(self):
        self.process = subprocess.Popen(self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 20
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

    @property
    def settings(self):
        return {"EVENTS_CLIENT": self.client, "EVENTS_URL": self.url}

    def collect(self, stream, count, timeout_s=60):
        """Return what is on `stream`, once it holds `count` different causes."""
        end = time.monotonic() + timeout_s
        while True:
            if self.count(stream) >= count:
                found = self.read(stream)
                if len({one.cause for one in found}) >= count:
                    return found
            assert time.monotonic() < end, self.count(stream)
            time.sleep(0.05)

    def answered(self, least=0):
        """Return how many answers and dead letters there are, once these are `least`."""
        end = time.monotonic() + 60
        while (found := self.count("out") + self.count("in.dead")) < least:
            assert time.monotonic() < end, found
            time.sleep(0.005)
        return found

    def settled(self, timeout_s=10):
        """Wait until every event is acknowledged."""
        end = time.monotonic() + timeout_s
        while waiting := self.waiting():
            assert time.monotonic() < end, waiting
            time.sleep(0.05)


class NatsBroker(Broker):
    program = "nats-server"
    client = "modelyard_plugins.sources.nats_jetstream:open_source"

    @property
    def url(self):
        return f"{'tls' if self.certificate else 'nats'}://127.0.0.1:{self.port}"

    def command(self):
        words = [self.program, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self.folder)]
        if self.certificate:
            files = ["--tlscert", str(self.certificate / "tls.crt"), "--tlskey", str(self.certificate / "tls.key")]
            words += ["--tls", *files, "--user", self.user, "--pass", self.password]
        return words

    def connecting(self):
        import nats

        if self.certificate is None:
            return nats.connect(self.url)
        trusted = ssl.create_default_context(cafile=self.certificate / "tls.crt")
        return nats.connect(self.url, tls=trusted, user=self.user, password=self.password)

    def ask(self, asking):
        async def connected():
            client = await self.connecting()
            try:
                return await asking(client.jetstream())
            finally:
                await client.close()

        return asyncio.run(connected())

    def make(self, *, with_output=True):
        async def make(stream):
            await stream.add_stream(name="in", subjects=["in"])
            await stream.add_stream(name="dead", subjects=["in.dead"])
            if with_output:
                await stream.add_stream(name="out", subjects=["out"])

        self.ask(make)

    def allow_output(self):
        self.ask(lambda stream: stream.add_stream(name="out", subjects=["out"]))

    def send(self, bodies, first=0):
        async def send(stream):
            for number, body in enumerate(bodies, first):
                await stream.publish("in", body, headers=event_headers(number))

        self.ask(send)

    def read(self, name):
        from nats.js.api import ConsumerConfig, DeliverPolicy

        async def read(stream):
            reader = await stream.subscribe(
                name, ordered_consumer=True, config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
            )
            count = (await stream.stream_info(self._stream(name))).state.messages
            found = [await reader.next_msg(timeout=5) for _ in range(count)]
            return [Message(dict(one.headers), one.data) for one in found]

        return self.ask(read)

    def _stream(self, name):
        return name.rpartition(".")[2]

    def count(self, name):
        async def count(stream):
            return (await stream.stream_info(self._stream(name))).state.messages

        return self.ask(count)

    def waiting(self):
        async def waiting(stream):
            info = await stream.consumer_info("in", "digits")
            return info.num_pending + info.num_ack_pending

        return self.ask(waiting)


class RedisBroker(Broker):
    program = "redis-server"
    client = "modelyard_plugins.sources.redis_streams:open_source"

    @property
    def url(self):
        return f"{'rediss' if self.certificate else 'redis'}://127.0.0.1:{self.port}"

    def command(self):
        port = ["--port", self.port]
        if self.certificate:
            port = ["--port", "0", "--tls-port", self.port, "--tls-auth-clients", "no"]
            port += ["--tls-cert-file", self.certificate / "tls.crt", "--tls-key-file", self.certificate / "tls.key"]
            port += ["--tls-ca-cert-file", self.certificate / "tls.crt"]
            port += ["--user", "default", "off", "--user", self.user, "on", f">{self.password}", "~*", "+@all"]
        words = [*port, "--bind", "127.0.0.1", "--dir", self.folder, "--save", "", "--appendonly", "yes"]
        return [self.program, *map(str, words), "--appendfsync", "always"]

    @property
    def redis(self):
        redis = pytest.importorskip("redis")
        if self.certificate is None:
            return redis.Redis(port=self.port)
        login = {"username": self.user, "password": self.password}
        return redis.Redis(port=self.port, ssl=True, ssl_ca_certs=str(self.certificate / "tls.crt"), **login)

    def make(self, *, with_output=True):
        if not with_output:
            self.redis.set("out", "a text, and no stream")

    def allow_output(self):
        self.redis.delete("out")

    def send(self, bodies, first=0):
        with self.redis.pipeline(transaction=False) as pipe:
            for number, body in enumerate(bodies, first):
                pipe.xadd("in", {**event_headers(number), "data": body})
            pipe.execute()

    def read(self, name):
        found = [fields for _, fields in self.redis.xrange(name)]
        return [
            Message({key.decode(): value.decode() for key, value in one.items() if key != b"data"}, one[b"data"])
            for one in found
        ]

    def count(self, name):
        return self.redis.xlen(name) if self.redis.type(name) in (b"stream", b"none") else 0

    def waiting(self):
        (group,) = self.redis.xinfo_groups("in")
        return group["pending"] + group["lag"]


BROKERS = {"nats": NatsBroker, "redis": RedisBroker}
