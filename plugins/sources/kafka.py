"""Source `kafka`: events of Kafka, or of what speaks its protocol."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from modelyard import hookimpl
from modelyard.contexts import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.contexts import CheckContext
    from modelyard.hookspecs import RegisterSource
    from modelyard.serving.events.source import Place, Source

_CLIENT = Path(__file__).with_name("kafka_topics")
_REQUIREMENTS = Path(__file__).with_name("kafka-requirements.txt")
_TOPIC = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,249}")


def kafka(
    place: Place,
    *,
    sasl: Literal["plain", "scram-sha-256", "scram-sha-512"] = "plain",  # noqa: ARG001 - the client reads it
    exactly_once: bool = False,  # noqa: ARG001 - the client reads it
) -> Source[Any]:
    """Kafka: a group of consumers; input, output and dead letters are topics.

    Args:
        place: where the events are.
        sasl: how the password is shown, where there is one.
        exactly_once: send each answer once, in a transaction with how far its partition is done.
    """
    from modelyard_plugins.sources.kafka_topics import open_source

    return open_source(place)


def check(
    _: CheckContext,
    *,
    input: str,  # noqa: A002
    output: str,
    dead_letter: str,
    group: str,  # noqa: ARG001
    sasl: str,  # noqa: ARG001
    exactly_once: bool,  # noqa: ARG001
) -> Iterator[Problem]:
    """Yield what Kafka does not allow."""
    for key, topic in {"input": input, "output": output, "dead_letter": dead_letter}.items():
        if not _TOPIC.fullmatch(topic):
            yield Problem(key, "it is no name of a topic", "allowed: up to 249 letters, digits, '.', '_', '-'")


@hookimpl
def modelyard_register_sources(register: RegisterSource) -> None:
    """Register the source."""
    register(
        "kafka",
        kafka,
        client=_CLIENT,
        requirements=_REQUIREMENTS,
        schemes={"kafka": 9092, "kafkas": 9093},
        check=check,
        tools=("aiokafka",),
    )
