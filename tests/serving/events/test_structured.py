"""Events as JSON: what is read is what was written, and what is none is refused with its number in the batch."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serving.events.causes import cause
from tests.serving.small_models import LIMITS

from modelyard.serving.errors import RequestError
from modelyard.serving.events import structured
from modelyard.serving.events.event import NO_DOCUMENT

KNOWN = {"specversion": "1.0", "id": "17", "source": "/s", "type": "t"}
JSON = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=3), one),
    max_leaves=8,
)


def read(**changes: Any) -> Any:
    return structured.read_one(json.dumps({**KNOWN, **changes}).encode(), LIMITS)


def refusal(value: Any) -> str:
    with pytest.raises(RequestError) as caught:
        structured.read_batch(value if isinstance(value, bytes) else json.dumps(value).encode(), LIMITS)
    assert caught.value.status == 400
    return caught.value.message


def test_the_specifications_own_event_is_read() -> None:
    example = {
        "specversion": "1.0",
        "type": "com.example.someevent",
        "source": "/mycontext",
        "subject": None,
        "id": "C234-1234-1234",
        "time": "2018-04-05T17:31:00Z",
        "comexampleextension1": "value",
        "comexampleothervalue": 5,
        "datacontenttype": "text/xml",
        "data_base64": "PG11Y2ggd293PVwieG1sXCIvPg==",
    }
    read = structured.read_one(json.dumps(example).encode(), LIMITS)

    assert read["comexampleothervalue"] == "5"
    assert read.get("subject") is None
    assert read.data == b'<much wow=\\"xml\\"/>'


@settings(max_examples=50, deadline=None)
@given(st.lists(JSON, max_size=3))
def test_a_batch_that_was_written_is_read_with_its_data_as_text(values: list[Any]) -> None:
    events = [cause(json.dumps(value).encode(), id=str(number + 1)) for number, value in enumerate(values)]
    read = structured.read_batch(structured.write_batch(events), LIMITS)

    assert [one.attributes for one in read] == [one.attributes for one in events]
    assert all(one.document is NO_DOCUMENT for one in read)
    assert [json.loads(bytes(one.data or b"")) for one in read] == values


@settings(max_examples=50, deadline=None)
@given(JSON)
def test_an_event_that_was_written_is_read_with_its_data_as_a_value(value: Any) -> None:
    event = cause(json.dumps(value).encode(), subject="a")
    read = structured.read_one(structured.write_one(event), LIMITS)
    assert (read.attributes, read.data, read.document) == (event.attributes, None, value)


def test_an_event_without_data_is_written_and_read_without() -> None:
    written = structured.write_one(cause())
    assert "data" not in json.loads(written)
    read = structured.read_one(written, LIMITS)
    assert (read.data, read.document) == (None, NO_DOCUMENT)


@pytest.mark.parametrize(
    ("value", "text"),
    [(5, "5"), (-(1 << 31), "-2147483648"), ((1 << 31) - 1, "2147483647"), (True, "true"), (False, "false"), ("", "")],
)
def test_an_extension_may_be_a_number_or_a_truth_value_and_is_text_then(value: Any, text: str) -> None:
    assert read(x=value)["x"] == text


def test_what_is_null_is_not_there() -> None:
    event = read(subject=None, x=None, data=None, data_base64=None)
    assert (event.attributes, event.data, event.document) == (KNOWN, None, NO_DOCUMENT)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"x": 1 << 31}, "attribute 'x' is neither text, nor a whole number of 32 bits, nor true or false"),
        ({"x": 1.5}, "attribute 'x' is neither text"),
        ({"x": [1]}, "attribute 'x' is neither text"),
        ({"subject": 5}, "attribute 'subject' is not text"),
        ({"id": 5}, "attribute 'id' is not text"),
        ({"data": 1, "data_base64": "MQ=="}, "it has both 'data' and 'data_base64'"),
        ({"data_base64": "%"}, "'data_base64' is not base64"),
        ({"data_base64": 5}, "'data_base64' is not base64"),
        ({"data_base64": "\u00e9"}, "'data_base64' is not base64"),
        ({"data": 5, "datacontenttype": "text/plain"}, "data of type 'text/plain' is text, or stands in 'data_base64'"),
    ],
)
def test_of_a_batch_the_event_is_named_that_is_none(changes: Any, said: str) -> None:
    assert refusal([KNOWN, {**KNOWN, **changes}]).startswith(f"not a CloudEvent: event 1: {said}")
    with pytest.raises(RequestError, match=f"not a CloudEvent: {said}"):
        read(**changes)


def test_what_is_no_list_of_events_is_refused() -> None:
    assert refusal(KNOWN) == "not a CloudEvent: a batch is a JSON list of events"
    assert refusal([KNOWN, "a"]) == "not a CloudEvent: event 1: an event is a JSON object"
    assert refusal(b"[").startswith("not a CloudEvent: not JSON: ")


def test_data_is_what_its_type_says() -> None:
    assert read(data="<a/>", datacontenttype="text/xml").data == b"<a/>"
    assert read(data="a", datacontenttype="application/json").document == "a"
    assert read(data=[1]).document == [1]
    assert read(data_base64="AP8=").data == b"\x00\xff"


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("", True),
        ("application/json", True),
        ("Text/JSON; charset=utf-8", True),
        ("application/vnd.example+json", True),
        ("application/jsonp", False),
        ("text/plain; format=json", False),
    ],
)
def test_json_is_known_by_its_media_type(media_type: str, expected: bool) -> None:
    assert structured.is_json(media_type) is expected
