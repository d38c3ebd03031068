"""RabbitMQ."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.serving.events.brokers.broker import Broker, Message, event_headers, key_of
from tests.standins.tls import free_port


class AmqpBroker(Broker):
    """RabbitMQ, with quorum queues."""

    program, module = "rabbitmq-server", "pika"
    client = "modelyard_plugins.sources.amqp_queues:open_source"
    kills = 1  # it takes its time to start
    made_s = 5.0  # killed before it has written its list of quorum queues, 3.10 loses a new one

    @property
    def url(self) -> str:
        return f"{'amqps' if self.certificate else 'amqp'}://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
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

    def environment(self) -> dict[str, str]:
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

    def listens(self) -> bool:
        return super().listens() and self._answers()

    def _answers(self) -> bool:
        import pika

        with contextlib.suppress(pika.exceptions.AMQPError):
            self.connection = self._connected()
            return True
        return False

    def ask(self, asking: Any) -> Any:
        if not self.connection.is_open:
            self.connection = self._connected()
        with contextlib.closing(self.connection.channel()) as channel:
            return asking(channel)

    def _connected(self) -> Any:
        import pika

        login = {}
        if self.certificate:
            login["ssl_options"] = pika.SSLOptions(self.trusted(), "127.0.0.1")
            login["credentials"] = pika.PlainCredentials(self.user, self.password)
        return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", self.port, heartbeat=0, **login))

    def make(self, *, with_output: bool = True, members: Sequence[str] = ()) -> None:
        for name in (self.input, self.dead, *([self.output] if with_output else [])):
            self._declare(name)

    def _declare(self, name: str) -> None:
        self.ask(lambda channel: channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"}))

    def allow_output(self) -> None:
        self._declare(self.output)

    def send(self, bodies: Sequence[bytes], first: int = 0, keys: Sequence[str] | None = None) -> None:
        import pika

        def send(channel: Any) -> None:
            channel.confirm_delivery()
            for number, body in enumerate(bodies, first):
                headers = event_headers(number, key_of(keys, number - first))
                sent = pika.BasicProperties(content_type=headers.pop("content-type"), headers=headers, delivery_mode=2)
                channel.basic_publish("", self.input, body, sent, mandatory=True)

        self.ask(send)

    def read(self, name: str) -> list[Message]:
        def read(channel: Any) -> list[Any]:
            found = []
            while (one := channel.basic_get(name))[0] is not None:
                found.append(one)
            return found

        return [Message({**sent.headers, "content-type": sent.content_type}, body) for _, sent, body in self.ask(read)]

    def count(self, name: str) -> int:
        return self.ask(lambda channel: channel.queue_declare(name, passive=True).method.message_count)

    def waiting(self) -> int:
        return self.count(self.input)
