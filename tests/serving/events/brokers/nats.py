"""NATS with JetStream."""

from __future__ import annotations

import asyncio

from tests.serving.events.brokers.broker import Broker, Message, event_headers


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
