"""NATS with JetStream."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from tests.serving.events.brokers.broker import Broker, Message, event_headers, key_of


class NatsBroker(Broker):
    program, module = "nats-server", "nats"
    client = "modelyard_plugins.sources.nats_jetstream:open_source"

    @property
    def url(self) -> str:
        return f"{'tls' if self.certificate else 'nats'}://127.0.0.1:{self.port}"

    def command(self) -> list[Any]:
        words = [self.program, "-a", "127.0.0.1", "-p", self.port, "-js", "-sd", self.folder]
        if self.certificate:
            files = ["--tlscert", self.certificate / "tls.crt", "--tlskey", self.certificate / "tls.key"]
            words += ["--tls", *files, "--user", self.user, "--pass", self.password]
        return words

    def ask(self, asking: Any) -> Any:
        import nats

        async def connected() -> Any:
            login = {"tls": self.trusted(), "user": self.user, "password": self.password} if self.certificate else {}
            client = await nats.connect(self.url, **login)
            try:
                return await asking(client.jetstream())
            finally:
                await client.close()

        return asyncio.run(connected())

    def make(self, *, with_output: bool = True, members: Sequence[str] = ()) -> None:
        async def make(stream: Any) -> None:
            for name in (self.input, self.dead, *([self.output] if with_output else [])):
                await stream.add_stream(name=self._stream(name), subjects=[name])

        self.ask(make)

    def allow_output(self) -> None:
        self.ask(lambda stream: stream.add_stream(name=self._stream(self.output), subjects=[self.output]))

    def send(self, bodies: Sequence[bytes], first: int = 0, keys: Sequence[str] | None = None) -> None:
        async def send(stream: Any) -> None:
            for number, body in enumerate(bodies, first):
                key = key_of(keys, number - first)
                await stream.publish_async(self.input, body, headers=event_headers(number, key))
            await stream.publish_async_completed()

        self.ask(send)

    def read(self, name: str) -> list[Message]:
        from nats.js.api import ConsumerConfig, DeliverPolicy

        async def read(stream: Any) -> list[Message]:
            reader = await stream.subscribe(
                name, ordered_consumer=True, config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
            )
            count = (await stream.stream_info(self._stream(name))).state.messages
            found = [await reader.next_msg(timeout=5) for _ in range(count)]
            return [Message(dict(one.headers), one.data) for one in found]

        return self.ask(read)

    def _stream(self, name: str) -> str:
        return name.replace(".", "-")

    def count(self, name: str) -> int:
        async def count(stream: Any) -> Any:
            return (await stream.stream_info(self._stream(name))).state.messages

        return self.ask(count)

    def waiting(self) -> int:
        async def waiting(stream: Any) -> Any:
            info = await stream.consumer_info(self._stream(self.input), self.group)
            return info.num_pending + info.num_ack_pending

        return self.ask(waiting)
