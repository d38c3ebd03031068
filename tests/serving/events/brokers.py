"""Brokers of events, each a program that runs here, and how others speak to it: with a loop of their own.

A broker runs for a whole session of tests; each test has streams of its own in it, `begin`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.standins.tls import free_port


def event_headers(number, key=None):
    return {
        "ce-specversion": "1.0",
        "ce-id": str(number),
        "ce-source": "/camera",
        "ce-type": "picture",
        **({} if key is None else {"ce-partitionkey": key}),
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


def wait_until(done, timeout_s=60, told=lambda: None):
    """Return what `done` returns, once that is true."""
    end = time.monotonic() + timeout_s
    while not (found := done()):
        assert time.monotonic() < end, told()
        time.sleep(0.03)
    return found


class Broker:
    """A program that listens on a free port. `input`, `output` and `dead` are the streams of the test that runs."""

    program = module = ""
    user, password = "ann", "s3cret"
    makes_streams = False
    """Whether there is a stream as soon as it is named."""
    counts = True
    """Whether it says how often it handed an event out."""
    kills = 3
    """How often it is killed and started again, where a test does that."""
    takes_over = True
    """Whether a member of the group gets what comes after another has left it."""

    def __init__(self, folder, certificate=None):
        """Make ready; with the folder of a certificate it speaks TLS alone, and asks for a password."""
        if shutil.which(self.program) is None:
            missing = pytest.fail if os.environ.get("MODELYARD_REQUIRE_SERVICES") else pytest.skip
            missing(f"needs the program {self.program}")
        pytest.importorskip(self.module)
        self.port = free_port()
        self.folder, self.certificate = folder, certificate
        folder.mkdir()

    def start(self):
        self.process = subprocess.Popen(
            [str(word) for word in self.command()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | self.environment(),
            start_new_session=True,
        )
        wait_until(self.listens, 120)

    def environment(self):
        return {}

    def listens(self):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def trusted(self):
        return ssl.create_default_context(cafile=self.certificate / "tls.crt") if self.certificate else None

    def begin(self, name):
        """Have streams of the test `name`."""
        self.input, self.output, self.dead, self.group = (
            f"{name}-in",
            f"{name}-out",
            f"{name}-in.dead",
            f"{name}-digits",
        )

    def make(self, *, with_output=True, members=()):
        """Have the streams be there, and the sessions of those `members` that share the work."""

    def end(self):
        """Leave what was there for this test alone."""

    @property
    def settings(self):
        return {"EVENTS_CLIENT": self.client, "EVENTS_URL": self.url}

    @property
    def places(self):
        return {"EVENTS_INPUT": self.input, "EVENTS_OUTPUT": self.output, "EVENTS_GROUP": self.group}

    def collect(self, stream, count, timeout_s=180):
        """Return what is on `stream`, once it holds `count` different causes."""

        def found():
            if self.count(stream) >= count:
                messages = self.read(stream)
                return messages if len({one.cause for one in messages}) >= count else None
            return None

        return wait_until(found, timeout_s, lambda: self.count(stream))

    def answered(self, least=0):
        """Return how many answers and dead letters there are, once these are `least`."""
        end = (
            time.monotonic() + 180
        )  # a broker may take its time to start, and then a server has waited for longer and longer
        while (found := self.count(self.output) + self.count(self.dead)) < least:
            assert time.monotonic() < end, found
            time.sleep(0.005)
        return found

    def settled(self, timeout_s=10):
        """Wait until every event is acknowledged; the server has stopped."""
        wait_until(lambda: not self.waiting(), timeout_s, self.waiting)


class NatsBroker(Broker):
    program, module = "nats-server", "nats"
    client = "modelyard_plugins.sources.nats_jetstream:open_source"

    @property
    def url(self):
        return f"{'tls' if self.certificate else 'nats'}://127.0.0.1:{self.port}"

    def command(self):
        words = [self.program, "-a", "127.0.0.1", "-p", self.port, "-js", "-sd", self.folder]
        if self.certificate:
            files = ["--tlscert", self.certificate / "tls.crt", "--tlskey", self.certificate / "tls.key"]
            words += ["--tls", *files, "--user", self.user, "--pass", self.password]
        return words

    def ask(self, asking):
        import nats

        async def connected():
            login = {"tls": self.trusted(), "user": self.user, "password": self.password} if self.certificate else {}
            client = await nats.connect(self.url, **login)
            try:
                return await asking(client.jetstream())
            finally:
                await client.close()

        return asyncio.run(connected())

    def make(self, *, with_output=True, members=()):
        async def make(stream):
            for name in (self.input, self.dead, *([self.output] if with_output else [])):
                await stream.add_stream(name=self._stream(name), subjects=[name])

        self.ask(make)

    def allow_output(self):
        self.ask(lambda stream: stream.add_stream(name=self._stream(self.output), subjects=[self.output]))

    def send(self, bodies, first=0, keys=None):
        async def send(stream):
            for number, body in enumerate(bodies, first):
                key = keys and keys[(number - first) % len(keys)]
                await stream.publish_async(self.input, body, headers=event_headers(number, key))
            await stream.publish_async_completed()

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
        return name.replace(".", "-")

    def count(self, name):
        async def count(stream):
            return (await stream.stream_info(self._stream(name))).state.messages

        return self.ask(count)

    def waiting(self):
        async def waiting(stream):
            info = await stream.consumer_info(self._stream(self.input), self.group)
            return info.num_pending + info.num_ack_pending

        return self.ask(waiting)


class RedisBroker(Broker):
    program, module = "redis-server", "redis"
    client = "modelyard_plugins.sources.redis_streams:open_source"
    makes_streams = True

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
        return [self.program, *words, "--appendfsync", "always"]

    @property
    def redis(self):
        import redis

        if self.certificate is None:
            return redis.Redis(port=self.port)
        login = {"username": self.user, "password": self.password}
        return redis.Redis(port=self.port, ssl=True, ssl_ca_certs=str(self.certificate / "tls.crt"), **login)

    def make(self, *, with_output=True, members=()):
        if not with_output:
            self.redis.set(self.output, "a text, and no stream")

    def allow_output(self):
        self.redis.delete(self.output)

    def send(self, bodies, first=0, keys=None):
        with self.redis.pipeline(transaction=False) as pipe:
            for number, body in enumerate(bodies, first):
                key = keys and keys[(number - first) % len(keys)]
                pipe.xadd(self.input, {**event_headers(number, key), "data": body})
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
        (group,) = self.redis.xinfo_groups(self.input)
        return group["pending"] + group["lag"]


class MqttBroker(Broker):
    """Mosquitto. It has no streams: whoever has subscribed is sent what comes, and here that is a client of the test's."""

    program, module = "mosquitto", "paho.mqtt"
    client = "modelyard_plugins.sources.mqtt_shared:open_source"
    counts = takes_over = False

    @property
    def url(self):
        return f"{'mqtts' if self.certificate else 'mqtt'}://127.0.0.1:{self.port}"

    def command(self):
        lines = [f"listener {self.port} 127.0.0.1", "persistence true", f"persistence_location {self.folder}/"]
        # what it has taken is on disk a moment later, and not only once it is stopped
        lines += ["autosave_interval 1", "autosave_on_changes true", "max_queued_messages 0", "user root"]
        if self.certificate:
            lines += [f"certfile {self.certificate / 'tls.crt'}", f"keyfile {self.certificate / 'tls.key'}"]
            passwords = self.folder / "passwords"
            subprocess.run(["mosquitto_passwd", "-c", "-b", passwords, self.user, self.password], check=True)
            lines += [f"password_file {passwords}"]
        lines += [f"allow_anonymous {'false' if self.certificate else 'true'}"]
        (self.folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        return [self.program, "-c", self.folder / "mosquitto.conf"]

    def begin(self, name):
        super().begin(name)
        self.found = {self.output: [], self.dead: []}
        self.collectors = {}

    def _client(self, client_id):
        from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5

        client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTv5)
        client.reconnect_delay_set(0.1, 0.5)
        client.max_inflight_messages_set(200)
        if self.certificate:
            client.tls_set_context(self.trusted())
            client.username_pw_set(self.user, self.password)
        return client

    def _begun(self, client):
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 0xFFFFFFFF
        client.connect("127.0.0.1", self.port, 5, clean_start=False, properties=properties)
        client.loop_start()
        wait_until(client.is_connected, 10)

    def _subscribed(self, client_id, topic, found=None):
        client, done = self._client(client_id), threading.Event()
        client.on_subscribe = lambda *_: done.set()
        if found is not None:
            client.on_message = lambda _, __, message: found.append(message)
        self._begun(client)
        client.subscribe(topic, qos=1)
        assert done.wait(10)
        return client

    def make(self, *, with_output=True, members=()):
        for member in members or (self.group,):
            self._left(self._subscribed(member, f"$share/{self.group}/{self.input}"))
        self._collect(self.dead)
        if with_output:
            self._collect(self.output)

    def _collect(self, topic):
        self.collectors[topic] = self._subscribed(f"test-{topic}", topic, self.found[topic])

    def _left(self, client):
        client.disconnect()
        client.loop_stop()

    def end(self):
        for client in self.collectors.values():
            self._left(client)

    def allow_output(self):
        self._collect(self.output)

    def send(self, bodies, first=0, keys=None):
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        client = self._client(f"sender-{self.group}")
        self._begun(client)
        sent = []
        for number, body in enumerate(bodies, first):
            headers = event_headers(number, keys and keys[(number - first) % len(keys)])
            properties = Properties(PacketTypes.PUBLISH)
            properties.ContentType = headers.pop("content-type")
            properties.UserProperty = [(name.removeprefix("ce-"), value) for name, value in headers.items()]
            sent.append(client.publish(self.input, body, qos=1, properties=properties))
        for one in sent:
            one.wait_for_publish(60)
        self._left(client)
        time.sleep(1.2 if self.process.poll() is None else 0)  # until it is on disk

    def read(self, name):
        return [Message(self._headers(one), one.payload) for one in list(self.found[name])]

    def _headers(self, message):
        pairs = {f"ce-{name}": value for name, value in getattr(message.properties, "UserProperty", ())}
        return {**pairs, "content-type": message.properties.ContentType}

    def count(self, name):
        return len(self.found[name])

    def waiting(self):
        """Return how many events are sent to who has the server's name: it has stopped, and they stay as they are."""
        from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5

        found = []
        client = Client(CallbackAPIVersion.VERSION2, client_id=self.group, protocol=MQTTv5, manual_ack=True)
        client.on_message = lambda _, __, message: found.append(message)
        self._begun(client)
        time.sleep(0.3)
        self._left(client)
        return len(found)


class AmqpBroker(Broker):
    """RabbitMQ, with quorum queues."""

    program, module = "rabbitmq-server", "pika"
    client = "modelyard_plugins.sources.amqp_queues:open_source"
    kills = 1  # it takes its time to start

    @property
    def url(self):
        return f"{'amqps' if self.certificate else 'amqp'}://127.0.0.1:{self.port}"

    def command(self):
        lines = [f"listeners.tcp.1 = 127.0.0.1:{self.port}"]
        if self.certificate:
            files = {"cacertfile": "tls.crt", "certfile": "tls.crt", "keyfile": "tls.key"}
            lines = ["listeners.tcp = none", f"listeners.ssl.1 = 127.0.0.1:{self.port}"]
            lines += [f"ssl_options.{name} = {self.certificate / file}" for name, file in files.items()]
            lines += [f"default_user = {self.user}", f"default_pass = {self.password}"]
        (self.folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        (self.folder / "plugins").write_text("[].")
        script = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one in the path changes the user
        # what Erlang would leave in the background is started before, to be killed with the rest
        return ["sh", "-c", f'epmd -port "$ERL_EPMD_PORT" & exec {script if script.exists() else self.program}']

    def environment(self):
        self.ports = getattr(self, "ports", None) or (free_port(), free_port())
        return {
            "ERL_EPMD_PORT": str(self.ports[0]),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "HOME": str(self.folder),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_DIST_PORT": str(self.ports[1]),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
        }

    def listens(self):
        return super().listens() and self._answers()

    def _answers(self):
        import pika

        with contextlib.suppress(pika.exceptions.AMQPError):
            self.connection = self._connected()
            return True

    def ask(self, asking):
        if not self.connection.is_open:
            self.connection = self._connected()
        with contextlib.closing(self.connection.channel()) as channel:
            return asking(channel)

    def _connected(self):
        import pika

        login = {}
        if self.certificate:
            login["ssl_options"] = pika.SSLOptions(self.trusted(), "127.0.0.1")
            login["credentials"] = pika.PlainCredentials(self.user, self.password)
        return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", self.port, heartbeat=0, **login))

    def make(self, *, with_output=True, members=()):
        for name in (self.input, self.dead, *([self.output] if with_output else [])):
            self._declare(name)

    def _declare(self, name):
        self.ask(lambda channel: channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"}))

    def allow_output(self):
        self._declare(self.output)

    def send(self, bodies, first=0, keys=None):
        import pika

        def send(channel):
            channel.confirm_delivery()
            for number, body in enumerate(bodies, first):
                headers = event_headers(number, keys and keys[(number - first) % len(keys)])
                sent = pika.BasicProperties(content_type=headers.pop("content-type"), headers=headers, delivery_mode=2)
                channel.basic_publish("", self.input, body, sent, mandatory=True)

        self.ask(send)

    def read(self, name):
        def read(channel):
            found = []
            while (one := channel.basic_get(name))[0] is not None:
                found.append(one)
            return found

        return [Message({**sent.headers, "content-type": sent.content_type}, body) for _, sent, body in self.ask(read)]

    def count(self, name):
        return self.ask(lambda channel: channel.queue_declare(name, passive=True).method.message_count)

    def waiting(self):
        return self.count(self.input)


BROKERS = {"nats": NatsBroker, "redis": RedisBroker, "mqtt": MqttBroker, "amqp": AmqpBroker}
