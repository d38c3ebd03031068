"""Mosquitto."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Sequence
from typing import Any

from tests.serving.events.brokers.broker import Broker, Message, event_headers, key_of, wait_until


class MqttBroker(Broker):
    """Mosquitto. It has no streams: whoever has subscribed is sent what comes, and here that is a client of the test's."""

    program, module = "mosquitto", "paho.mqtt"
    client = "modelyard_plugins.sources.mqtt_shared:open_source"
    counts = takes_over = False
    kept_s = 1.2

    @property
    def url(self) -> str:
        return f"{'mqtts' if self.certificate else 'mqtt'}://127.0.0.1:{self.port}"

    def command(self) -> list[Any]:
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

    def begin(self, name: str) -> None:
        super().begin(name)
        self.found: dict[str, list[Any]] = {self.output: [], self.dead: []}
        self.collectors: dict[str, Any] = {}

    def _client(self, client_id: Any) -> Any:
        from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5

        client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTv5)
        client.reconnect_delay_set(0.1, 0.5)
        client.max_inflight_messages_set(200)
        if self.certificate:
            client.tls_set_context(self.trusted())
            client.username_pw_set(self.user, self.password)
        return client

    def _begun(self, client: Any) -> None:
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 0xFFFFFFFF
        client.connect("127.0.0.1", self.port, 5, clean_start=False, properties=properties)
        client.loop_start()
        wait_until(client.is_connected, 10)

    def _subscribed(self, client_id: Any, topic: str, found: Any = None) -> Any:
        client, done = self._client(client_id), threading.Event()
        client.on_subscribe = lambda *_: done.set()
        if found is not None:
            client.on_message = lambda _, __, message: found.append(message)
        self._begun(client)
        client.subscribe(topic, qos=1)
        assert done.wait(10)
        return client

    def make(self, *, with_output: bool = True, members: Sequence[str] = ()) -> None:
        for member in members or (self.group,):
            self._left(self._subscribed(member, f"$share/{self.group}/{self.input}"))
        self._collect(self.dead)
        if with_output:
            self._collect(self.output)

    def _collect(self, topic: str) -> None:
        self.collectors[topic] = self._subscribed(f"test-{topic}", topic, self.found[topic])

    def _left(self, client: Any) -> None:
        client.disconnect()
        client.loop_stop()

    def end(self) -> None:
        for client in self.collectors.values():
            self._left(client)

    def allow_output(self) -> None:
        self._collect(self.output)

    def send(self, bodies: Sequence[bytes], first: int = 0, keys: Sequence[str] | None = None) -> None:
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        client = self._client(f"sender-{self.group}")
        self._begun(client)
        sent = []
        for number, body in enumerate(bodies, first):
            headers = event_headers(number, key_of(keys, number - first))
            properties = Properties(PacketTypes.PUBLISH)
            properties.ContentType = headers.pop("content-type")
            properties.UserProperty = [(name.removeprefix("ce-"), value) for name, value in headers.items()]
            sent.append(client.publish(self.input, body, qos=1, properties=properties))
        for one in sent:
            one.wait_for_publish(60)
        self._left(client)

    def read(self, name: str) -> list[Message]:
        return [Message(self._headers(one), one.payload) for one in list(self.found[name])]

    def _headers(self, message: Any) -> dict[str, Any]:
        pairs = {f"ce-{name}": value for name, value in getattr(message.properties, "UserProperty", ())}
        return {**pairs, "content-type": message.properties.ContentType}

    def count(self, name: str) -> int:
        return len(self.found[name])

    def waiting(self) -> int:
        """Return how many events are sent to who has the server's name: it has stopped, and they stay as they are."""
        from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5

        found = []
        client = Client(CallbackAPIVersion.VERSION2, client_id=self.group, protocol=MQTTv5, manual_ack=True)
        client.on_message = lambda _, __, message: found.append(message)
        self._begun(client)
        time.sleep(0.3)
        self._left(client)
        return len(found)
