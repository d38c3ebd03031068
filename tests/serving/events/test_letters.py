"""What a broker hands out is read in both modes, and what goes back can be read by anyone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.serving.errors import RequestError
from modelyard.serving.events.event import Event
from modelyard.serving.events.letters import answer_of, read_event, why_dead
from modelyard.serving.limits import Limits

LIMITS = Limits(body=200)
CAUSE = {b"ce-specversion": b"1.0", b"ce-id": b"1", b"ce-source": b"/s", b"ce-type": b"t"}


def delivery(headers: Any, body: bytes = b"x") -> Any:
    return SimpleNamespace(headers=headers, body=body, attempt=1, origin="in/1")


@pytest.mark.parametrize("name", [b"content-type", b"ce-datacontenttype"])
def test_the_type_of_the_data_is_a_field_of_either_name(name: bytes) -> None:
    read = read_event(delivery({**CAUSE, name: b"text/plain"}), LIMITS)
    assert read["datacontenttype"] == "text/plain"
    assert bytes(read.data or b"") == b"x"


def test_a_structured_event_is_read_by_its_content_type_in_any_case() -> None:
    body = b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":[1]}'
    read = read_event(delivery({b"content-type": b"Application/CloudEvents+JSON; charset=UTF-8"}, body), LIMITS)
    assert (read["id"], read.document) == ("1", [1])


@pytest.mark.parametrize(
    ("headers", "body", "status", "said"),
    [
        ({}, b"x", 400, "'specversion' is missing"),
        ({**CAUSE, b"content-type": b"application/json"}, bytes(201), 413, "larger than 200 bytes"),
        ({b"content-type": b"application/cloudevents+json"}, b" " * 201, 413, "larger than 200 bytes"),
        ({**CAUSE, b"ce-subject": b"x" * 201}, b"", 413, "larger than 200 bytes"),
        ({b"content-type": b"application/cloudevents-batch+json"}, b"[]", 415, "one event a message"),
        ({b"content-type": b"application/cloudevents+avro"}, b"", 415, "unsupported Content-Type"),
    ],
)
def test_what_is_no_event_is_refused_in_words(headers: Any, body: bytes, status: int, said: str) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        read_event(delivery(headers, body), LIMITS)
    assert caught.value.status == status


@given(st.text(max_size=700), st.text(max_size=20))
def test_a_dead_letter_says_why_in_printable_ascii(detail: str, origin: str) -> None:
    detail, origin = (text.encode("utf-8", "replace").decode() for text in (detail, origin))
    one = SimpleNamespace(origin=origin)
    told = why_dead(one, 3, "failed", detail, 500)
    assert all(text.isascii() and text.isprintable() and " " not in text for text in told.values())
    assert unquote(told["ce-errordetail"]) == detail[:500]
    assert unquote(told["ce-errororigin"]) == origin
    assert (told["ce-errorattempts"], told["ce-knativeerrorcode"]) == ("3", "500")


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), min_size=1))
def test_an_answer_can_be_read_as_an_event(subject: str) -> None:
    attributes = {"specversion": "1.0", "id": "2", "source": "/m", "type": "t", "datacontenttype": "application/json"}
    answer = answer_of(Event({**attributes, "subject": subject}, b"{}"))
    assert all(value.isascii() for value in answer.headers.values())
    fields = {name.encode(): value.encode() for name, value in answer.headers.items()}
    read = read_event(delivery(fields, answer.body), Limits(body=1 << 20))
    assert {name: read[name] for name in (*attributes, "subject")} == {**attributes, "subject": subject}
    assert (answer.id, bytes(read.data or b"")) == ("2", b"{}")
