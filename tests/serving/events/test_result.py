"""The event that answers another: its id follows from both, and it carries on what belongs to the cause."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serving.events.causes import cause
from tests.serving.small_models import served

from modelyard.serving.errors import RequestError
from modelyard.serving.events.event import checked, parse_time
from modelyard.serving.events.names import ERROR, RESULT
from modelyard.serving.events.result import Results
from modelyard.serving.trace import Trace

SHA = "0f" * 32
RESULTS = Results.of(served(extra={"sha256": SHA}), None)
THEIRS = "0af7651916cd43dd8448eb211c80319c"
OURS = Trace("1" * 32, "2" * 16, "3" * 16, 1)


def test_an_answer_says_what_it_is_an_answer_to_and_who_gives_it() -> None:
    result = RESULTS.result(cause(subject="a", partitionkey="left", tracestate="x=y", dataschema="z"), b"{}")
    attributes = dict(checked(result.attributes))
    assert parse_time(attributes.pop("time")).tzinfo is not None
    assert attributes == {
        "specversion": "1.0",
        "id": RESULTS.id_of(cause()),
        "source": "urn:modelyard:net:1",
        "type": RESULT,
        "datacontenttype": "application/json",
        "causationid": "17",
        "correlationid": "17",
        "modelname": "net",
        "modelversion": "1",
        "modeldigest": SHA,
        "subject": "a",
        "partitionkey": "left",
        "tracestate": "x=y",
    }
    assert result.data == b"{}"


def test_what_the_cause_does_not_say_the_answer_does_not_say_either() -> None:
    attributes = Results.of(served(), "/mine").result(cause(correlationid="order-7"), b"{}").attributes
    assert not {"subject", "partitionkey", "tracestate", "traceparent", "modeldigest"} & attributes.keys()
    assert (attributes["source"], attributes["correlationid"]) == ("/mine", "order-7")


def test_what_is_wrong_is_an_event_that_can_be_written_whatever_was_quoted() -> None:
    wrong = RESULTS.error(cause(), RequestError(400, "no \ud800 name"))
    assert (wrong["type"], wrong["causationid"]) == (ERROR, "17")
    assert json.loads(bytes(wrong.data or b"")) == {"error": "no ? name", "code": 400}


@given(st.text(max_size=9), st.text(max_size=9))
def test_the_same_event_has_the_same_answer_and_another_has_another(one: str, other: str) -> None:
    known = RESULTS.id_of(cause(id=one, source="/s"))
    assert re.fullmatch("[0-9a-f]{32}", known)
    assert RESULTS.id_of(cause(b"data", id=one, source="/s", subject="a")) == known
    assert (RESULTS.id_of(cause(id=other, source="/s")) == known) == (one == other)
    assert (RESULTS.id_of(cause(id=one, source=f"/{other}")) == known) == (other == "s")


def test_another_model_gives_another_answer_and_where_one_has_no_digest_its_name_counts() -> None:
    ids = [
        Results.of(model, "/same").id_of(cause())
        for model in (
            served(extra={"sha256": SHA}),
            served(extra={"sha256": "1" * 64}),
            served(),
            served(version="2"),
            served(name="other"),
        )
    ]
    assert len(set(ids)) == len(ids)
    assert Results.of(served(name="renamed", extra={"sha256": SHA}), "/other").id_of(cause()) == ids[0]


@pytest.mark.parametrize(
    ("kind", "source", "own"),
    [
        (RESULT, "urn:modelyard:net:1", True),
        (ERROR, "urn:modelyard:net:1", True),
        (RESULT, "urn:modelyard:net:2", False),
        ("com.example", "urn:modelyard:net:1", False),
    ],
)
def test_an_answer_of_ours_is_known(kind: str, source: str, own: bool) -> None:
    assert RESULTS.is_own(cause(type=kind, source=source)) is own


def test_the_trace_of_the_event_goes_on_before_that_of_the_request_that_brought_it() -> None:
    event = cause(traceparent=f"00-{THEIRS}-00f067aa0ba902b7-01")
    for trace in (None, OURS):
        found = RESULTS.result(event, b"", trace)["traceparent"]
        assert re.fullmatch(f"00-{THEIRS}-[0-9a-f]{{16}}-01", found)
        assert "00f067aa0ba902b7" not in found, "we are a part of our own"
    same = Trace(THEIRS, "2" * 16, "00f067aa0ba902b7", 1)
    assert RESULTS.result(event, b"", same)["traceparent"] == f"00-{THEIRS}-{'2' * 16}-01"


@pytest.mark.parametrize("theirs", ["", "rubbish", f"00-{'0' * 32}-{'1' * 16}-01"])
def test_an_event_that_names_no_trace_is_in_that_of_its_request(theirs: str) -> None:
    assert RESULTS.result(cause(traceparent=theirs), b"", OURS)["traceparent"] == f"00-{'1' * 32}-{'2' * 16}-01"
    assert RESULTS.result(cause(traceparent=theirs), b"").get("traceparent") is None
