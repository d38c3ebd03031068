"""Source `amqp`: events of RabbitMQ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.contexts import BrokerCommand, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.contexts import BrokerPlace, CheckContext
    from modelyard.hookspecs import RegisterSource
    from modelyard.serving.events.source import Place, Source

_CLIENT = Path(__file__).with_name("amqp_queues")
_REQUIREMENTS = Path(__file__).with_name("amqp-requirements.txt")
_SCRIPT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Debian's own; the one in the path changes the user."""


def amqp(place: Place) -> Source[Any]:
    """AMQP 0-9-1, which RabbitMQ speaks: a consumer of a queue; input, output and dead letters are queues."""
    from modelyard_plugins.sources.amqp_queues import open_source

    return open_source(place)


def check(_: CheckContext, *, input: str, output: str, dead_letter: str, group: str) -> Iterator[Problem]:  # noqa: A002, ARG001
    """Yield what RabbitMQ does not allow."""
    for key, queue in {"input": input, "output": output, "dead_letter": dead_letter}.items():
        if queue.startswith("amq."):
            yield Problem(key, "it is no name of a queue of ours", "allowed: anything that does not begin with 'amq.'")


def broker(place: BrokerPlace) -> BrokerCommand:
    """Return what starts RabbitMQ, and before it what Erlang would leave behind in the background."""
    program, folder = str(_SCRIPT) if _SCRIPT.exists() else "rabbitmq-server", place.folder
    lines = {
        "listeners.tcp": "none",
        "listeners.ssl.1": f"127.0.0.1:{place.port}",
        "ssl_options.cacertfile": place.certificate,
        "ssl_options.certfile": place.certificate,
        "ssl_options.keyfile": place.key,
        "default_user": place.username,
        "default_pass": place.password,
    }
    files = {"rabbitmq.conf": "".join(f"{name} = {value}\n" for name, value in lines.items()), "plugins": "[]."}
    variables = {
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(place.other_ports[0]),
        "HOME": str(folder),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_DIST_PORT": str(place.other_ports[1]),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_NODENAME": f"check{place.port}@localhost",
        "RABBITMQ_PID_FILE": str(folder / "pid"),
    }
    words = ("sh", "-c", f'epmd -port "$ERL_EPMD_PORT" & exec {program}')
    return BrokerCommand(f"amqps://127.0.0.1:{place.port}", words, files, variables, (program, "epmd"))


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
        broker=broker,
        tools=("pika",),
    )
