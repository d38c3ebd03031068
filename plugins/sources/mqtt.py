"""Source `mqtt`: events of MQTT 5."""

from __future__ import annotations

import base64
import hashlib
import os
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

_CLIENT = Path(__file__).with_name("mqtt_shared")
_REQUIREMENTS = Path(__file__).with_name("mqtt-requirements.txt")
_TOPIC = re.compile(r"[^+#$][^+#]*")
_FILTER = re.compile(r"(\+|[^+#/$][^+#/]*)?(/(\+|[^+#/]*))*(/#)?|#")


def mqtt(place: Place) -> Source[Any]:
    """MQTT 5: a shared subscription with a session that stays; input is a topic filter, output and dead letters topics."""
    from modelyard_plugins.sources.mqtt_shared import open_source

    return open_source(place)


def check(_: CheckContext, *, input: str, output: str, dead_letter: str, group: str) -> Iterator[Problem]:  # noqa: A002
    """Yield what MQTT does not allow."""
    if not _FILTER.fullmatch(input):
        yield Problem(
            "input", "it is no topic filter", "allowed: words with '/' between them, '+' for one, '#' at the end"
        )
        return
    for key, topic in {"output": output, "dead_letter": dead_letter}.items():
        if not _TOPIC.fullmatch(topic):
            yield Problem(key, "it is no topic", "allowed: words with '/' between them, without '+' and '#'")
        elif _matches(input, topic):
            yield Problem(key, f"the input, {input!r}, takes it in, so events would go round", "name another topic")
    if not re.fullmatch(r"[^/+#]+", group):
        yield Problem("group", "it is no name of a shared subscription", "allowed: anything without '/', '+' and '#'")


def _matches(topic_filter: str, topic: str) -> bool:
    """Return whether the subscription takes the topic in; `a/#` takes `a`, too."""
    words = re.escape(topic_filter).replace(r"\+", "[^/]*")
    return bool(re.fullmatch(re.sub(r"(^|/)\\#$", r"(\1.*)?", words), topic))


def broker(place: BrokerPlace) -> BrokerCommand:
    """Return what starts Mosquitto."""
    lines = {
        "user": "root",  # whom it stays if it is started by root; the folder is not open to another
        "listener": f"{place.port} 127.0.0.1",
        "certfile": place.certificate,
        "keyfile": place.key,
        "allow_anonymous": "false",
        "password_file": place.folder / "passwords",
        "persistence": "true",
        "persistence_location": f"{place.folder}/",
        "max_queued_messages": 0,
    }
    files = {
        "mosquitto.conf": "".join(f"{name} {value}\n" for name, value in lines.items()),
        "passwords": f"{place.username}:{_hashed(place.password)}\n",
    }
    words = ("mosquitto", "-c", str(place.folder / "mosquitto.conf"))
    return BrokerCommand(f"mqtts://127.0.0.1:{place.port}", words, files)


def _hashed(password: str) -> str:
    """Return a password as Mosquitto's file has it: by PBKDF2 with SHA-512."""
    salt, turns = os.urandom(12), 1000
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, turns)
    return f"$7${turns}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


@hookimpl
def modelyard_register_sources(register: RegisterSource) -> None:
    """Register the source."""
    register(
        "mqtt",
        mqtt,
        client=_CLIENT,
        requirements=_REQUIREMENTS,
        schemes={"mqtt": 1883, "mqtts": 8883},
        check=check,
        broker=broker,
        tools=("paho-mqtt",),
    )
