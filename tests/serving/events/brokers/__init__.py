"""Brokers of events, each a program that runs here, and how others speak to it: with a loop of their own.

A broker runs for a whole session of tests; each test has streams of its own in it, `begin`.
"""

from __future__ import annotations

from tests.serving.events.brokers.amqp import AmqpBroker
from tests.serving.events.brokers.broker import Broker, event_headers, wait_until
from tests.serving.events.brokers.kafka import PROGRAM, KafkaBroker, MockCluster, Tansu
from tests.serving.events.brokers.mqtt import MqttBroker
from tests.serving.events.brokers.nats import NatsBroker
from tests.serving.events.brokers.redis import RedisBroker

__all__ = [
    "BROKERS",
    "SHARED",
    "AmqpBroker",
    "Broker",
    "KafkaBroker",
    "MqttBroker",
    "NatsBroker",
    "RedisBroker",
    "event_headers",
    "wait_until",
]

BROKERS: dict[str, type[Broker]] = {
    "nats": NatsBroker,
    "redis": RedisBroker,
    "mqtt": MqttBroker,
    "amqp": AmqpBroker,
    "kafka": KafkaBroker if PROGRAM else MockCluster,
}

SHARED: dict[str, type[Broker]] = BROKERS if PROGRAM else BROKERS | {"kafka": Tansu}
"""Those that let another member of a group in within seconds."""
