"""What KEDA counts at a broker, to have as many pods as the events that wait there need.

Source: KEDA 2.20, scalers `nats-jetstream`, `redis-streams`, `kafka` and `rabbitmq-queue`. All values are texts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.contexts import Problem
from modelyard.kubernetes import syntax

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from modelyard.kubernetes.target_params import KubernetesParams

    Trigger = dict[str, Any]

_LOGIN = ("username", "password")


def stream_of(subject: str) -> str:
    """Return what the stream is called that the source `nats` makes for a subject; a name holds no '.'."""
    return subject.replace(".", "-")


def triggers(p: KubernetesParams, address: str, places: Mapping[str, str]) -> list[Trigger]:
    """Return the triggers that add a pod for every `events_per_replica` events that wait.

    Args:
        p: the target's parameters, in which `problems` found none.
        address: the broker's, `HOST:PORT`.
        places: where the broker has the events, `input`, and who takes them, `group`; of Kafka how it is logged in, `sasl`.
    """
    scheme = p.events_url.partition("://")[0]
    return _BY_SCHEME[scheme](p, address, places)


def secrets(p: KubernetesParams) -> dict[str, str]:
    """Return what the scalers are told of Secrets, as `SECRET/KEY` by parameter: as the server reads them."""
    if not p.events_per_replica or p.events_url.partition("://")[0] in _ASKED_FOR_NOTHING:
        return {}
    login = {key: f"{p.events_secret}/{key}" for key in _LOGIN} if p.events_secret else {}
    ca = {"ca": f"{p.events_ca_secret}/ca.crt"} if p.events_ca_secret else {}
    pair = {"cert": f"{p.events_tls_secret}/tls.crt", "key": f"{p.events_tls_secret}/tls.key"}
    return login | ca | (pair if p.events_tls_secret else {})


def problems(p: KubernetesParams) -> Iterator[Problem]:
    """Yield why the events that wait at the broker cannot be counted."""
    scheme = p.events_url.partition("://")[0]
    if p.events_per_replica and p.events_url and scheme not in _BY_SCHEME:
        why = f"KEDA is not known to count what waits at a broker with the scheme {scheme!r}"
        yield Problem("events_per_replica", why, "say in scale_on what KEDA counts, or remove it")
    counted = bool(p.events_per_replica) and scheme in _MONITORED
    if counted and not p.events_monitor:
        broker, port = _MONITORED[scheme]
        yield Problem(
            "events_monitor",
            f"KEDA asks {broker} for what waits by its monitoring port",
            f"name it, with events_per_replica: for instance '{broker.lower()}.messaging:{port}'",
        )
    if counted and scheme == "amqps" and p.events_ca_secret and "tls" not in (p.scale_secrets or {}):
        yield Problem(
            "scale_secrets",
            "KEDA trusts RabbitMQ by events_ca_secret only if a Secret tells it to",
            "allowed: { tls = 'SECRET/KEY' }, with a key that holds the text 'enable'",
        )
    if p.events_monitor and not counted:
        why = "set events_per_replica, with a broker of NATS or RabbitMQ, or remove it"
        yield Problem("events_monitor", "nobody asks there", why)
    elif p.events_monitor and not _is_address(p.events_monitor):
        yield Problem("events_monitor", "it is no address", "allowed: HOST:PORT")


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return not syntax.dns_subdomain(host) and port.isdecimal() and 0 < int(port) < 65536


def _nats(p: KubernetesParams, _: str, places: Mapping[str, str]) -> list[Trigger]:
    """What waits, and what is not acknowledged, are one number there."""
    metadata = {
        "natsServerMonitoringEndpoint": p.events_monitor,
        "account": "$G",
        "stream": stream_of(places["input"]),
        "consumer": places["group"],
        "lagThreshold": str(p.events_per_replica),
    }
    return [{"type": "nats-jetstream", "metadata": metadata}]


def _redis(p: KubernetesParams, address: str, places: Mapping[str, str]) -> list[Trigger]:
    """What waits, and what a pod took that is gone, are two numbers: the lag counts no entry that was handed out."""
    where = {
        "address": address,
        "stream": places["input"],
        "consumerGroup": places["group"],
        "enableTLS": str(p.events_url.startswith("rediss:")).lower(),
    }
    counts = ("lagCount", "pendingEntriesCount")
    return [{"type": "redis-streams", "metadata": {**where, count: str(p.events_per_replica)}} for count in counts]


def _amqp(p: KubernetesParams, _: str, places: Mapping[str, str]) -> list[Trigger]:
    """What waits, and what is not acknowledged, are one number of the management's; by AMQP only what waits is counted."""
    metadata = {
        "host": f"http{'s' * (p.events_url.startswith('amqps:'))}://{p.events_monitor}/",
        "protocol": "http",
        "mode": "QueueLength",
        "queueName": places["input"],
        "value": str(p.events_per_replica),
    }
    return [{"type": "rabbitmq", "metadata": metadata}]


def _kafka(p: KubernetesParams, address: str, places: Mapping[str, str]) -> list[Trigger]:
    """What waits and what is not committed are one number, the lag; no more pods than partitions have anything to do."""
    metadata = {
        "bootstrapServers": address,
        "consumerGroup": places["group"],
        "topic": places["input"],
        "lagThreshold": str(p.events_per_replica),
        "offsetResetPolicy": "earliest",
    }
    if p.events_url.startswith("kafkas:"):
        metadata["tls"] = "enable"
    if p.events_secret:
        metadata["sasl"] = _SASL[places.get("sasl", "plain")]
    return [{"type": "kafka", "metadata": metadata}]


_SASL = {"plain": "plaintext", "scram-sha-256": "scram_sha256", "scram-sha-512": "scram_sha512"}
"""What KEDA calls how a password is shown."""
_ASKED_FOR_NOTHING = ("nats", "tls")
"""Those whose monitoring port asks for no password."""
_MONITORED = {
    "nats": ("NATS", 8222),
    "tls": ("NATS", 8222),
    "amqp": ("RabbitMQ", 15672),
    "amqps": ("RabbitMQ", 15671),
}
"""Whose monitoring port is asked, and its usual number, by scheme."""
_BY_SCHEME: dict[str, Callable[[KubernetesParams, str, Mapping[str, str]], list[Trigger]]] = {
    "nats": _nats,
    "tls": _nats,
    "redis": _redis,
    "rediss": _redis,
    "amqp": _amqp,
    "amqps": _amqp,
    "kafka": _kafka,
    "kafkas": _kafka,
}
