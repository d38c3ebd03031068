"""What the client of MQTT does by itself: it reads no more than there is room for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.serving.events.brokers import MqttBroker

from modelyard.serving.events.source import Answer, Ending, Place, Tls

mqtt = pytest.importorskip("modelyard_plugins.sources.mqtt_shared", reason="needs the extra mqtt")

MOST, COUNT = 8, 300


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[MqttBroker]:
    broker = MqttBroker(tmp_path / "broker")
    broker.start()
    broker.begin("room")
    broker.make()
    yield broker
    broker.end()
    broker.kill()


@pytest.fixture
def place(broker: MqttBroker) -> Place:
    where = (broker.url, broker.input, broker.output, broker.dead, broker.group, "one", broker.group)
    return Place(*where, lease_s=30, most=MOST, order="none", login=lambda: (None, None), tls=Tls())


async def answered(source: Any, deliveries: Any) -> int:
    answer = Answer("1", {"ce-id": "1", "ce-specversion": "1.0"}, b"1")
    assert await source.settle([Ending(one, answer=answer) for one in deliveries]) == [None] * len(deliveries)
    return len(deliveries)


async def answer_all(place: Any) -> tuple[Any, Any]:
    """Answer half of what a session holds, and over another connection the rest; return how much came at once at most."""
    most, total = 0, 0
    for share in (COUNT // 2, COUNT):
        source = mqtt.open_source(place)
        await source.open()
        while total < share:
            total += await answered(source, await source.take(MOST))
            await asyncio.sleep(0.02)  # whatever the broker sends is there
            found = await source.take(COUNT)
            most, total = max(most, len(found)), total + await answered(source, found)
        await source.close()
    return most, total


def test_no_more_is_read_than_there_is_room_for_whatever_the_broker_sends(broker: MqttBroker, place: Place) -> None:
    """Mosquitto 2.0 sends more than it was told that there is room for; none of it is lost when the connection ends."""
    broker.send([b"x"] * COUNT)
    most, total = asyncio.run(answer_all(place))

    assert total == COUNT
    assert most <= MOST + 1
    assert broker.count(broker.output) == COUNT
    assert broker.waiting() == 0


def test_a_message_without_properties_is_an_event_as_json_as_clients_of_mqtt_3_send_it() -> None:
    assert mqtt.headers_of({}) == {b"content-type": b"application/cloudevents+json"}


def test_attributes_are_user_properties_without_a_prefix_and_not_encoded() -> None:
    pairs = [["specversion", "1.0"], ["id", "a%b \u00e9"], ["X-Other", "o"]]
    headers = mqtt.headers_of({"UserProperty": pairs, "ContentType": "text/plain"})
    assert headers == {
        b"ce-specversion": b"1.0",
        b"ce-id": b"a%25b %C3%A9",
        b"x-other": b"o",
        b"content-type": b"text/plain",
    }
    assert b"content-type" not in mqtt.headers_of({"UserProperty": pairs})
    made = mqtt.properties_of({"UserProperty": pairs, "CorrelationData": "00ff"}, {"ce-errordetail": "no%20shape"})
    assert made.UserProperty == [*map(tuple, pairs), ("errordetail", "no shape")]
    assert made.CorrelationData == b"\x00\xff"
