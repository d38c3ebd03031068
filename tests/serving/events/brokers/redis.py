"""Redis with streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.serving.events.brokers.broker import Broker, Message, event_headers, key_of


class RedisBroker(Broker):
    program, module = "redis-server", "redis"
    client = "modelyard_plugins.sources.redis_streams:open_source"
    makes_streams = True

    @property
    def url(self) -> str:
        return f"{'rediss' if self.certificate else 'redis'}://127.0.0.1:{self.port}"

    def command(self) -> list[Any]:
        port = ["--port", self.port]
        if self.certificate:
            port = ["--port", "0", "--tls-port", self.port, "--tls-auth-clients", "no"]
            port += ["--tls-cert-file", self.certificate / "tls.crt", "--tls-key-file", self.certificate / "tls.key"]
            port += ["--tls-ca-cert-file", self.certificate / "tls.crt"]
            port += ["--user", "default", "off", "--user", self.user, "on", f">{self.password}", "~*", "+@all"]
        words = [*port, "--bind", "127.0.0.1", "--dir", self.folder, "--save", "", "--appendonly", "yes"]
        return [self.program, *words, "--appendfsync", "always"]

    @property
    def redis(self) -> Any:
        import redis

        if self.certificate is None:
            return redis.Redis(port=self.port)
        return redis.Redis(
            "127.0.0.1",
            self.port,
            ssl=True,
            ssl_ca_certs=str(self.certificate / "tls.crt"),
            username=self.user,
            password=self.password,
        )

    def make(self, *, with_output: bool = True, members: Sequence[str] = ()) -> None:
        if not with_output:
            self.redis.set(self.output, "a text, and no stream")

    def allow_output(self) -> None:
        self.redis.delete(self.output)

    def send(self, bodies: Sequence[bytes], first: int = 0, keys: Sequence[str] | None = None) -> None:
        with self.redis.pipeline(transaction=False) as pipe:
            for number, body in enumerate(bodies, first):
                key = key_of(keys, number - first)
                pipe.xadd(self.input, {**event_headers(number, key), "data": body})
            pipe.execute()

    def read(self, name: str) -> list[Message]:
        found = [fields for _, fields in self.redis.xrange(name)]
        return [
            Message({key.decode(): value.decode() for key, value in one.items() if key != b"data"}, one[b"data"])
            for one in found
        ]

    def count(self, name: str) -> int:
        return self.redis.xlen(name) if self.redis.type(name) in (b"stream", b"none") else 0

    def waiting(self) -> int:
        (group,) = self.redis.xinfo_groups(self.input)
        return group["pending"] + group["lag"]
