"""Source `redis`: events of Redis Streams."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.contexts import BrokerCommand

if TYPE_CHECKING:
    from modelyard.contexts import BrokerPlace
    from modelyard.hookspecs import RegisterSource
    from modelyard.serving.events.source import Place, Source

_CLIENT = Path(__file__).with_name("redis_streams")


def redis(place: Place) -> Source[Any]:
    """Redis Streams, or Valkey's: a group of consumers; input, output and dead letters are keys of streams."""
    from modelyard_plugins.sources.redis_streams import open_source

    return open_source(place)


def broker(place: BrokerPlace) -> BrokerCommand:
    """Return what starts a server of Redis."""
    files = ("--tls-cert-file", place.certificate, "--tls-key-file", place.key, "--tls-ca-cert-file", place.certificate)
    listening = ("--port", 0, "--tls-port", place.port, "--bind", "127.0.0.1", "--tls-auth-clients", "no", *files)
    user = ("--user", "default", "off", "--user", place.username, "on", f">{place.password}", "~*", "+@all")
    kept = ("--dir", place.folder, "--save", "", "--appendonly", "yes")
    words = map(str, ("redis-server", *listening, *user, *kept))
    return BrokerCommand(f"rediss://127.0.0.1:{place.port}", tuple(words))


@hookimpl
def modelyard_register_sources(register: RegisterSource) -> None:
    """Register the source."""
    register("redis", redis, client=_CLIENT, schemes={"redis": 6379, "rediss": 6379}, broker=broker)
