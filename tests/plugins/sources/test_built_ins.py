"""The built-in sources: what each allows as a name at its broker, and the broker that it has started for a check."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.component import Component
from modelyard.contexts import BrokerCommand, BrokerPlace, CheckContext
from modelyard.plugins.load import load_plugins

SOURCES = load_plugins(Path(__file__).parent).components
SAID = {"input": "belt", "output": "seen", "dead_letter": "lost", "group": "g"}
CONTEXT = CheckContext(name="net", version="1", runtime="litert")
OWN: dict[str, dict[str, Any]] = {"kafka": {"sasl": "plain", "exactly_once": False}}
"""Parameters of a source's own, which its check is told, too."""


def source(name: str) -> Component:
    return SOURCES["source", name]


def wrong(name: str, **changes: str) -> list[str]:
    """Return the keys that a source complains of."""
    check = source(name).check
    assert check is not None
    return [problem.key for problem in check(CONTEXT, **(SAID | changes), **OWN.get(name, {}))]


@pytest.mark.parametrize("name", ["amqp", "kafka", "mqtt", "nats"])
def test_plain_names_are_allowed(name: str) -> None:
    assert wrong(name) == []


def test_any_key_of_redis_may_be_a_stream() -> None:
    assert source("redis").check is None


@pytest.mark.parametrize(
    ("name", "key", "values"),
    [
        ("nats", "input", ["a b", "a.*", ">", "a..b", ".a", "a.", ""]),
        ("nats", "output", ["a.>"]),
        ("nats", "dead_letter", ["*"]),
        ("nats", "group", ["a.b", "a b", ""]),
        ("amqp", "input", ["amq.direct", "amq."]),
        ("amqp", "output", ["amq.x"]),
        ("amqp", "dead_letter", ["amq.x"]),
        ("kafka", "input", ["a/b", ".", "..", "", "x" * 250, "é"]),
        ("kafka", "output", ["a b"]),
        ("kafka", "dead_letter", ["a:b"]),
        ("mqtt", "input", ["a/#/b", "a#", "a+/b", "$SYS/a"]),
        ("mqtt", "output", ["a/+", "#", "$SYS", ""]),
        ("mqtt", "dead_letter", ["+"]),
        ("mqtt", "group", ["a/b", "a+", "#", ""]),
    ],
)
def test_what_the_broker_does_not_allow_is_told_with_its_key(name: str, key: str, values: list[str]) -> None:
    assert [wrong(name, **{key: value}) for value in values] == [[key]] * len(values)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("nats", {"input": "line.1.pictures", "group": "a-b_C1"}),
        ("amqp", {"input": "amq", "output": "line/1 pictures", "group": "anything"}),
        ("kafka", {"input": "...", "output": "x" * 249, "dead_letter": "A_b-1.c"}),
        ("mqtt", {"input": "+/in/#", "output": "/out/$x", "group": "a b"}),
    ],
)
def test_unusual_names_that_the_broker_allows(name: str, changes: Mapping[str, str]) -> None:
    assert wrong(name, **changes) == []


LEVEL = st.sampled_from(["", "a", "b", "a.b"])
TOPIC = st.lists(LEVEL, min_size=1, max_size=4).map("/".join).filter(bool)
FILTER = st.builds(
    lambda levels, rest: "/".join([*levels, *rest]),
    st.lists(LEVEL | st.just("+"), max_size=4),
    st.sampled_from([[], ["#"]]),
).filter(bool)


def takes_in(levels: list[str], topic: list[str]) -> bool:
    """Tell level by level whether a filter of MQTT takes a topic in.

    Source: MQTT 5.0, 4.7.1.
    """
    if levels == ["#"] or not (levels or topic):
        return True
    if not levels or not topic:
        return False
    return levels[0] in ("+", topic[0]) and takes_in(levels[1:], topic[1:])


@given(FILTER, TOPIC, TOPIC)
def test_topics_of_mqtt_that_the_input_takes_in_would_go_round(topic_filter: str, output: str, dead: str) -> None:
    round_and_round = {
        key: takes_in(topic_filter.split("/"), topic.split("/"))
        for key, topic in {"output": output, "dead_letter": dead}.items()
    }
    told = wrong("mqtt", input=topic_filter, output=output, dead_letter=dead)
    assert told == [key for key, goes_round in round_and_round.items() if goes_round]


def started(name: str, **settings: object) -> BrokerCommand:
    """Return what starts a source's broker, for ann, who knows the secret."""
    here, broker = Path("/somewhere"), source(name).broker
    assert broker is not None
    place = BrokerPlace(
        folder=here,
        port=4711,
        other_ports=(4712, 4713),
        certificate=here / "tls.crt",
        key=here / "tls.key",
        username="ann",
        password="secret",
        settings=settings,
    )
    command: BrokerCommand = broker(place)
    return command


def told(command: BrokerCommand) -> str:
    return "\n".join([*command.words, *command.files.values(), *command.environment.values()])


@pytest.mark.parametrize("name", ["amqp", "kafka", "mqtt", "nats", "redis"])
def test_the_broker_of_a_check_is_on_loopback_with_tls_and_a_user(name: str) -> None:
    command = started(name)
    url = urlsplit(command.url)
    assert (url.scheme in source(name).schemes, url.netloc) == (True, "127.0.0.1:4711")
    for word in ("4711", "/somewhere/tls.crt", "/somewhere/tls.key", "ann"):
        assert word in told(command), word
    assert ("secret" in told(command), command.lacks) == (name != "mqtt", None)


def test_mosquitto_is_told_the_password_as_it_keeps_it() -> None:
    user, _, kept = started("mqtt").files["passwords"].strip().partition(":")
    _, kind, turns, salt, digest = kept.split("$")
    made = hashlib.pbkdf2_hmac("sha512", b"secret", base64.b64decode(salt), int(turns))
    assert (user, kind, base64.b64decode(digest)) == ("ann", "7", made)
    assert started("mqtt").files["passwords"] != f"{user}:{kept}\n", "each has a salt of its own"


def test_a_broker_that_cannot_do_what_the_project_asks_for_says_so() -> None:
    lacks = started("kafka", exactly_once=True).lacks
    assert lacks == "tansu has no transactions, which exactly_once needs"
