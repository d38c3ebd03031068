"""What is sent to a server by its broker, and what is made of what comes back."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from modelyard.errors import ToolError
from modelyard.launch import events
from modelyard.serving.events.result import Results


class Mirror:
    """A broker whose server answers every event but those with the data `lost`; what is `bad` is a dead letter."""

    def __init__(self) -> None:
        self.back: list[Any] = []

    async def open(self) -> None:
        """It is there."""

    async def close(self) -> None:
        """It stays."""

    async def send(self, sent: Any) -> None:
        for one in sent:
            cause, is_dead = one.headers["ce-id"], one.body == b"bad"
            headers = one.headers if is_dead else {"ce-id": "1", "ce-causationid": cause}
            if one.body != b"lost":
                self.back.append(SimpleNamespace(is_dead=is_dead, headers=headers, body=one.body))

    async def read(self) -> Any:
        back, self.back = self.back, []
        return back


def mirror() -> Any:
    """Return one that does what is asked of a peer here, not all that it can be asked."""
    return Mirror()


def test_a_sample_is_an_instance_by_name_where_the_model_has_several_inputs() -> None:
    one = events.event_of_sample({"x": np.array([[1], [2]], np.uint8)}, "test-0")
    assert json.loads(one.body) == {"instances": [[[1], [2]]]}
    assert one.headers["ce-id"] == one.id
    assert one.id.startswith("test-0-")
    two = events.event_of_sample({"x": np.array(0.5, np.float32), "y": np.array([3], np.int64)}, "test-1")
    assert json.loads(two.body) == {"instances": [{"x": 0.5, "y": [3]}]}


def test_a_sample_is_sent_in_three_forms() -> None:
    sample = {"x": np.array([[1, 258]], ">u2")}
    raw = events.raw_event_of_sample(sample, "test-0")
    assert (raw.body, raw.headers["content-type"]) == (b"\x01\x00\x02\x01", "application/octet-stream")
    assert events.raw_event_of_sample({"x": np.array(b"a\0", object)}, "test-0").body == b"a\0"
    binary = events.traced(events.event_of_sample(sample, "test-0"))
    whole = json.loads(events.structured(binary).body)
    assert whole.pop("data") == {"instances": [[[1, 258]]]}
    assert whole.pop("datacontenttype") == "application/json"
    assert {f"ce-{name}": value for name, value in whole.items()} | {
        "content-type": "application/json"
    } == binary.headers
    assert events.structured(binary).headers == {"content-type": "application/cloudevents+json"}


def test_the_id_of_an_answer_is_the_servers_own() -> None:
    model = SimpleNamespace(name="net", version="3", identity={"sha256": ""})
    cause = {"source": events.SOURCE, "id": "a b"}
    headers = {"ce-causationid": "a%20b", "ce-modelname": "net", "ce-modelversion": "3"}
    heard = SimpleNamespace(is_dead=False, headers=headers, body=b"")
    assert events.answer_id(heard) == Results(model, "/net").id_of(cause)  # type: ignore[arg-type]
    model.identity["sha256"] = headers["ce-modeldigest"] = "0" * 64
    assert events.answer_id(heard) == Results(model, "/net").id_of(cause)  # type: ignore[arg-type]


def test_each_event_is_heard_of_once_and_what_is_missing_is_named() -> None:
    sent = [events.event(body, "application/json", "here") for body in (b"good", b"bad", b"lost")]
    heard: list[tuple[bool, str]] = []

    async def exchange(peer: Any) -> Any:
        await events.send(sent, peer)
        return await events.hear(sent, 0.1, lambda one, cause: heard.append((one.is_dead, cause)), peer)

    assert events.run(mirror(), exchange, "here") == [sent[2].id]
    assert heard == [(False, sent[0].id), (True, sent[1].id)]


@pytest.mark.parametrize(
    ("reason", "todo"),
    [("nobody is there", "start the broker; `doit events:setup` makes what it lacks"), ("no\n  do that", "do that")],
)
def test_what_the_broker_says_is_told_with_what_to_do(reason: str, todo: str) -> None:
    async def exchange(_: Any) -> None:
        raise ConnectionError(reason)

    with pytest.raises(ToolError) as caught:
        events.run(mirror(), exchange, "here")
    assert str(caught.value) == f"here: {reason.partition(chr(10))[0]}\n  {todo}"


def test_a_server_without_a_broker_has_no_other_side() -> None:
    with pytest.raises(ToolError, match=r"MODELYARD_EVENTS_URL is not set.*\n  name the broker"):
        events.peer_of({}, "here")


def test_a_broker_that_is_named_is_not_asked_for() -> None:
    places = {f"MODELYARD_EVENTS_{name}": name.lower() for name in ("INPUT", "OUTPUT", "GROUP")}
    named = {"MODELYARD_EVENTS_URL": "spool://here", "MODELYARD_EVENTS_CLIENT": "no_such_client:open_source"}
    with pytest.raises(ToolError, match=r"cannot be loaded.*\n  the broker's settings: \[tool.modelyard.events\]"):
        events.peer_of({**places, **named}, "here")
