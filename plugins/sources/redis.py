"""Source `redis`: events of Redis Streams."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard import hookimpl

if TYPE_CHECKING:
    from modelyard.hookspecs import RegisterSource
    from modelyard.serving.events.source import Place, Source

_CLIENT = Path(__file__).with_name("redis_streams")


def redis(place: Place) -> Source[Any]:
    """Redis Streams, or Valkey's: a group of consumers; input, output and dead letters are keys of streams."""
    from modelyard_plugins.sources.redis_streams import open_source

    return open_source(place)


@hookimpl
def modelyard_register_sources(register: RegisterSource) -> None:
    """Register the source."""
    register("redis", redis, client=_CLIENT, schemes={"redis": 6379, "rediss": 6379})
