"""Source `amqp`: events of RabbitMQ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.contexts import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.contexts import CheckContext
    from modelyard.hookspecs import RegisterSource
    from modelyard.serving.events.source import Place, Source

_CLIENT = Path(__file__).with_name("amqp_queues")
_REQUIREMENTS = Path(__file__).with_name("amqp-requirements.txt")


def amqp(place: Place) -> Source[Any]:
    """AMQP 0-9-1, which RabbitMQ speaks: a consumer of a queue; input, output and dead letters are queues."""
    from modelyard_plugins.sources.amqp_queues import open_source

    return open_source(place)


def check(_: CheckContext, *, input: str, output: str, dead_letter: str, group: str) -> Iterator[Problem]:  # noqa: A002, ARG001
    """Yield what RabbitMQ does not allow."""
    for key, queue in {"input": input, "output": output, "dead_letter": dead_letter}.items():
        if queue.startswith("amq."):
            yield Problem(key, "it is no name of a queue of ours", "allowed: anything that does not begin with 'amq.'")


@hookimpl
def modelyard_register_sources(register: RegisterSource) -> None:
    """Register the source."""
    register(
        "amqp",
        amqp,
        client=_CLIENT,
        requirements=_REQUIREMENTS,
        schemes={"amqp": 5672, "amqps": 5671},
        check=check,
        tools=("pika",),
    )
