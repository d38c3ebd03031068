"""The broker that the target `compose` starts beside the server, to try events out: without a password, kept in memory.

Source: the images of their makers on Docker Hub, `nats`, `redis` and `valkey/valkey`, `eclipse-mosquitto`, `rabbitmq` and
`apache/kafka`; Kafka, KRaft mode.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from modelyard.contexts import Problem
from modelyard.errors import listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelyard_plugins.support.compose_params import ComposeParams

_FOLDER = "/tmp/broker"
_CONFIG = "/tmp/broker.conf"
_INSIDE = {"kafka": 19092}
"""The port of those that tell their clients an address, which is another from within than from the machine's loopback."""


def _configured(lines: Mapping[str, object], *steps: str) -> list[str]:
    """Return the command that writes a file of settings, which the image's folders are not open for, and takes `steps`."""
    text = " ".join(shlex.quote(f"{key}={value}") for key, value in lines.items())
    return ["sh", "-ec", "; ".join([f"printf '%s\\n' {text} > {_CONFIG}", *steps])]


def _kafka() -> list[str]:
    """Return the command of Kafka, broker and controller in one."""
    listeners = {"INSIDE": f"broker:{_INSIDE['kafka']}", "LOOPBACK": "127.0.0.1:9092"}
    ports = {**{name: where.partition(":")[2] for name, where in listeners.items()}, "CONTROLLER": "9093"}
    lines = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": "1@127.0.0.1:9093",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "INSIDE",
        "listeners": ",".join(f"{name}://0.0.0.0:{port}" for name, port in ports.items()),
        "advertised.listeners": ",".join(f"{name}://{where}" for name, where in listeners.items()),
        "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in ports),
        "log.dirs": _FOLDER,
        "offsets.topic.num.partitions": 1,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
    }
    bin_ = "/opt/kafka/bin"
    return _configured(
        lines,
        "export LOG_DIR=/tmp/logs KAFKA_HEAP_OPTS='-Xms128m -Xmx256m' EXTRA_ARGS=",
        f"{bin_}/kafka-storage.sh format --cluster-id AAAAAAAAQACAAAAAAAAAAQ --config {_CONFIG} --ignore-formatted",
        f"exec {bin_}/kafka-server-start.sh {_CONFIG}",
    )


_COMMANDS = {
    "nats": ["--jetstream", "--store_dir", _FOLDER],
    "redis": ["--save", "", "--protected-mode", "no"],
    "mqtt": ["mosquitto", "-c", "/mosquitto-no-auth.conf"],
    "amqp": _configured(
        {"listeners.tcp.default": 5672, "loopback_users": "none"},
        f"export HOME=/tmp RABBITMQ_CONFIG_FILE={_CONFIG} RABBITMQ_MNESIA_BASE={_FOLDER} RABBITMQ_LOGS=-",
        "exec rabbitmq-server",
    ),
    "kafka": _kafka(),
}
"""What the image of a broker is to be told, by the scheme of its URLs; a file of the image's own has Mosquitto listen."""


def problems(params: ComposeParams, schemes: Mapping[str, int]) -> Iterator[Problem]:
    """Yield what is wrong with `events_broker`."""
    if not schemes:
        yield Problem(
            "events_broker", "the project's server takes no events", "add [tool.modelyard.events], or remove it"
        )
    elif _scheme(schemes) is None:
        why = f"no broker is known that would be started for {listing(schemes)}"
        yield Problem("events_broker", why, "start one yourself, and name it: events_url")
    for key in ("events_url", "events_auth", "events_ca", "events_certificate"):
        if getattr(params, key):
            yield Problem(key, "events_broker starts a broker, without password and TLS", "remove one of the two")


def values(params: ComposeParams, schemes: Mapping[str, int]) -> dict[str, Any]:
    """Return what the template is told of the broker, in which `problems` found nothing wrong."""
    scheme = _scheme(schemes)
    assert scheme is not None
    port = schemes[scheme]
    broker = {"image": params.events_broker, "command": _COMMANDS[scheme], "ports": [f"127.0.0.1:{port}:{port}"]}
    return {"broker": broker, "events_url": f"{scheme}://broker:{_INSIDE.get(scheme, port)}"}


def _scheme(schemes: Mapping[str, int]) -> str | None:
    return next((one for one in schemes if one in _COMMANDS), None)
