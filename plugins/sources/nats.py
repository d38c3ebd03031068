"""Source `nats`: events of NATS JetStream."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.contexts import BrokerCommand, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.contexts import BrokerPlace, CheckContext
    from modelyard.hookspecs import RegisterSource
    from modelyard.serving.events.source import Place, Source

_CLIENT = Path(__file__).with_name("nats_jetstream")
_REQUIREMENTS = Path(__file__).with_name("nats-requirements.txt")
_SUBJECT = r"[^\s*>.]+(\.[^\s*>.]+)*"


def nats(place: Place) -> Source[Any]:
    """NATS JetStream: a durable pull consumer; input, output and dead letters are subjects of streams that are there."""
    from modelyard_plugins.sources.nats_jetstream import open_source

    return open_source(place)


def check(_: CheckContext, *, input: str, output: str, dead_letter: str, group: str) -> Iterator[Problem]:  # noqa: A002
    """Yield what NATS does not allow."""
    for key, subject in {"input": input, "output": output, "dead_letter": dead_letter}.items():
        if not re.fullmatch(_SUBJECT, subject):
            yield Problem(key, "it is no subject", "allowed: words with '.' between them, without wildcards")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", group):
        yield Problem("group", "it is no name of a consumer", "allowed: letters, digits, '_', '-'")


def broker(place: BrokerPlace) -> BrokerCommand:
    """Return what starts a server of NATS."""
    files = ("--tlscert", str(place.certificate), "--tlskey", str(place.key))
    login = ("--user", place.username, "--pass", place.password)
    listening = ("--addr", "127.0.0.1", "--port", str(place.port), "--jetstream", "--store_dir", str(place.folder))
    return BrokerCommand(f"tls://127.0.0.1:{place.port}", ("nats-server", *listening, "--tls", *files, *login))


@hookimpl
def modelyard_register_sources(register: RegisterSource) -> None:
    """Register the source."""
    register(
        "nats",
        nats,
        client=_CLIENT,
        requirements=_REQUIREMENTS,
        schemes={"nats": 4222, "tls": 4222},
        check=check,
        broker=broker,
        tools=("nats-py",),
    )
