"""Our codec beside the CloudEvents SDK's, and beside what no codec may do to us."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cloudevents.core.bindings import http as sdk
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serving.events.causes import cause
from tests.serving.small_models import LIMITS

from modelyard.serving.errors import RequestError
from modelyard.serving.events import http
from modelyard.serving.events.event import NO_DOCUMENT, Event
from modelyard.serving.events.http import Mode
from modelyard.serving.messages import Request

TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), min_size=1, max_size=30
)  # without the noncharacters, which are unassigned
NAMES = st.from_regex(r"[a-z][a-z0-9]{0,12}", fullmatch=True).filter(
    lambda name: (
        name not in {"data", "specversion", "id", "source", "type", "time", "subject", "dataschema"}
        and name not in {"datacontenttype", "expirytime", "recordedtime"}
    )
)
EVENTS = st.fixed_dictionaries(
    {"id": TEXT, "source": TEXT, "type": TEXT},
    optional={"subject": TEXT},
)


def refused(request: Request) -> RequestError | None:
    """Return how `request` is refused; None: it is read. Nothing else may be raised."""
    try:
        mode = http.read_mode(request)
        (http.read_batch(request, LIMITS) if mode is Mode.BATCH else http.read_one(request, mode, LIMITS))
    except RequestError as exc:
        return exc
    return None


def request_of(headers: Any, body: Any) -> Request:
    fields = {name.lower().encode(): value.encode("latin-1") for name, value in headers.items()}
    return Request("POST", "/events", fields, body=bytes(body))


@settings(max_examples=200, deadline=None)
@given(EVENTS, st.dictionaries(NAMES, TEXT, max_size=3))
def test_what_the_sdk_writes_is_read(attributes: Any, more: Any) -> None:
    known = {"specversion": "1.0", **attributes, **more}
    event = CloudEvent(attributes={**known, "datacontenttype": "application/json"}, data={"a": [1, True]})

    for message, mode in (
        (sdk.to_binary_event(event), Mode.BINARY),
        (sdk.to_structured_event(event), Mode.STRUCTURED),
    ):
        request = request_of(message.headers, message.body)
        assert http.read_mode(request) is mode
        read = http.read_one(request, mode, LIMITS)
        kept = {name: read.get(name) for name in known}
        assert kept == known
        data = read.document if read.document is not NO_DOCUMENT else json.loads(bytes(read.data or b""))
        assert data == {"a": [1, True]}


@settings(max_examples=200, deadline=None)
@given(EVENTS, st.dictionaries(NAMES, TEXT, max_size=3))
def test_the_sdk_and_we_read_what_we_write(attributes: Any, more: Any) -> None:
    known = {"specversion": "1.0", **attributes, **more, "datacontenttype": "application/json"}
    event = Event(known, b'{"predictions":[[0.5]]}')

    for mode in (Mode.BINARY, Mode.STRUCTURED):
        response = http.write_one(event, mode)
        headers = {name.decode(): value.decode() for name, value in response.headers}
        headers["content-type"] = response.media_type.decode()
        theirs = sdk.from_http_event(sdk.HTTPMessage(headers, response.body))
        ours = http.read_one(request_of(headers, response.body), mode, LIMITS)
        assert {name: theirs.get_attributes()[name] for name in known} == known
        assert {name: ours[name] for name in known} == known
        assert theirs.get_data() == {"predictions": [[0.5]]}


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["ce-id", "ce-source", "ce-type", "ce-specversion", "ce-x", "ce-"]), st.binary()),
    st.sampled_from(["application/json", "application/cloudevents+json", "application/cloudevents-batch+json", ";"]),
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda one: (
            st.lists(one, max_size=3)
            | st.dictionaries(st.sampled_from(["specversion", "id", "data", "data_base64", "datacontenttype"]), one)
        ),
    ).map(lambda value: json.dumps(value).encode()),
)
def test_rubbish_is_refused_in_words(headers: Any, media_type: Any, body: Any) -> None:
    fields = {name.encode(): value for name, value in headers.items()} | {b"content-type": media_type.encode()}
    request = Request("POST", "/events", fields, body=body)

    refusal = refused(request)

    assert refusal is None or (refusal.status in (400, 413, 415) and refusal.message)


ODD_TEXTS = (
    "",
    "a",
    "\u00e9",
    "%41",
    "%C0%A0",
    "100%",
    "a\tb",
    "\x00",
    "1.0",
    "true",
    "2020-02-30T00:00:00Z",
    "\ufdd0",
    "x" * 300,
)
ODD = st.sampled_from([*ODD_TEXTS, "2020-01-01T00:00:00.123456789Z", 1, -5, 1 << 31, 1.5, True, None, [1]])
OPTIONAL = ("subject", "dataschema")
MUTATED = (
    "id",
    "source",
    "type",
    "specversion",
    "subject",
    "time",
    "dataschema",
    "x",
    "X",
    "a-b",
    "a" * 30,
    "data_base64",
)


@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(st.sampled_from(MUTATED), ODD, max_size=2), st.sets(st.sampled_from(MUTATED[:4]), max_size=1),
    st.booleans(), st.sampled_from([None, "", "x", 1, {"a": 1}]),
)  # fmt: skip
def test_of_an_event_that_is_nearly_one_we_take_no_more_than_the_sdk(
    changed: Any, missing: Any, binary: Any, data: Any
) -> None:
    """But that what is null, or optional and empty, counts as if it were not there; and both read the same."""
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", **changed}
    event = {name: value for name, value in event.items() if name not in missing}
    if binary:
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in event.items()}
        headers, body = {f"ce-{name.lower()}": text for name, text in texts.items()}, b"x"
    else:
        headers, body = {"content-type": "application/cloudevents+json"}, json.dumps({**event, "data": data}).encode()
    fields = {name.encode(): value.encode() for name, value in headers.items()}
    request = Request("POST", "/events", fields, body=body)
    if refused(request) is not None:
        return
    if not [name for name, value in event.items() if value is None or (not value and name in OPTIONAL)]:
        ours = http.read_one(request, http.read_mode(request), LIMITS)
        theirs = sdk.from_http_event(sdk.HTTPMessage(headers, body)).get_attributes()
        names = set(theirs) - {"time", "datacontenttype"}
        assert {name: ours[name] for name in names} == {name: canonical(theirs[name]) for name in names}


def canonical(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_a_quoted_value_is_read_without_its_quotation_marks_and_escapes() -> None:
    fields = {b"ce-id": b'"A \\" %C3%A9"', b"ce-type": b"t", b"ce-source": b"/s", b"ce-specversion": b"1.0"}
    quoted = http.binary(fields, b"", None)

    assert quoted["id"] == 'A " \u00e9'
    assert quoted.data is None


@pytest.mark.parametrize("value", [b"100%", b"%4", b"%zz", b"%C0%A0", b"\xff"])
def test_what_is_not_percent_encoded_utf_8_names_its_header(value: bytes) -> None:
    with pytest.raises(RequestError, match="the header 'ce-subject' is not percent-encoded UTF-8"):
        http.binary({b"ce-subject": value}, b"", None)


def test_the_type_of_the_data_is_content_type_and_no_header_of_the_event() -> None:
    with pytest.raises(RequestError, match="'ce-datacontenttype'; in HTTP that is Content-Type"):
        http.binary({b"ce-datacontenttype": b"text/plain"}, b"", None)


@pytest.mark.parametrize(
    ("media_type", "mode"),
    [
        ("", Mode.BINARY),
        ("application/json", Mode.BINARY),
        ("application/cloudevents+json", Mode.STRUCTURED),
        ('Application/CloudEvents+JSON ; charset="UTF-8"', Mode.STRUCTURED),
        ("application/cloudevents-batch+json; x=y; charset=utf-8", Mode.BATCH),
    ],
)
def test_a_media_type_says_how_an_event_is_written(media_type: str, mode: Mode) -> None:
    assert http.mode_of(media_type) is mode


@pytest.mark.parametrize(
    "media_type",
    ["application/cloudevents", "application/cloudevents+xml", "application/cloudevents+json; charset=latin1"],
)
def test_events_in_another_format_or_encoding_are_of_no_type_that_is_read(media_type: str) -> None:
    with pytest.raises(RequestError, match="unsupported Content-Type 'application/cloudevents") as caught:
        http.mode_of(media_type)
    assert caught.value.status == 415


def test_an_attribute_that_came_twice_is_refused_and_another_header_may() -> None:
    fields = {b"ce-id": b"1", b"ce-type": b"t", b"ce-source": b"/s", b"ce-specversion": b"1.0"}
    once = Request("POST", "/events", fields, frozenset({b"accept"}), b"x")
    twice = Request("POST", "/events", fields, frozenset({b"accept", b"ce-type", b"ce-id"}), b"x")

    assert http.read_one(once, Mode.BINARY, LIMITS)["id"] == "1"
    with pytest.raises(RequestError, match="the header 'ce-id' came twice"):
        http.read_one(twice, Mode.BINARY, LIMITS)


def test_a_batch_is_taken_from_its_request_and_not_decompressed() -> None:
    one = b'[{"specversion":"1.0","id":"1","source":"/s","type":"t","data":1}]'
    request = Request("POST", "/events", {}, body=one)

    assert [(event["id"], event.data) for event in http.read_batch(request, LIMITS)] == [("1", b"1")]
    assert request.body == b""
    with pytest.raises(RequestError, match="a batch is taken as it is, not compressed") as caught:
        http.read_batch(Request("POST", "/events", {b"content-encoding": b"gzip"}, body=one), LIMITS)
    assert caught.value.status == 415


def test_header_fields_are_printable_ascii_and_leave_the_type_of_the_data_out() -> None:
    plain = cause(datacontenttype="text/plain", subject="a/b")
    odd = cause(subject='d\u00e9j\u00e0 "vu" 100%')

    assert http.headers_of(plain)["ce-subject"] == "a/b"
    assert http.headers_of(plain).keys() == {"ce-specversion", "ce-id", "ce-source", "ce-type", "ce-subject"}
    assert http.headers_of(odd)["ce-subject"] == "d%C3%A9j%C3%A0%20%22vu%22%20100%25"


def test_an_answer_has_the_media_type_of_its_data_or_of_its_mode() -> None:
    event = cause(b"x", datacontenttype="text/plain")
    binary, nothing = http.write_one(event, Mode.BINARY), http.write_one(cause(), Mode.BINARY)
    whole, batch = http.write_one(cause(b"1"), Mode.STRUCTURED), http.write_batch([cause(b"1"), cause(b"2")])

    assert (binary.media_type, binary.body, dict(binary.headers)[b"ce-id"]) == (b"text/plain", b"x", b"17")
    assert (nothing.media_type, nothing.body) == (b"application/json", b"")
    assert (whole.media_type, json.loads(whole.body)["data"]) == (b"application/cloudevents+json", 1)
    assert batch.media_type == b"application/cloudevents-batch+json"
    assert [one["data"] for one in json.loads(batch.body)] == [1, 2]
