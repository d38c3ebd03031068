"""An event has the attributes that it must have, each of what it may be; its times are those of RFC 3339."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serving.events.causes import cause

from modelyard.serving.errors import RequestError
from modelyard.serving.events.event import NO_DOCUMENT, checked, parse_time

KNOWN = {"specversion": "1.0", "id": "17", "source": "/s", "type": "t"}


@pytest.mark.parametrize("name", KNOWN)
def test_what_an_event_must_have_is_named_if_it_is_missing_or_empty(name: str) -> None:
    for attributes in ({key: value for key, value in KNOWN.items() if key != name}, KNOWN | {name: ""}):
        said = f"attribute '{name}' is missing or empty; an event has specversion, id, source, type"
        with pytest.raises(RequestError, match=said) as caught:
            checked(attributes)
        assert caught.value.status == 400


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"specversion": "0.3"}, "specversion '0.3'; spoken here: '1.0'"),
        ({"specversion": "1" * 100}, f"specversion '{'1' * 100}'; spoken here"),
        ({"specversion": "1" * 101}, f"specversion '{'1' * 100}...'; spoken here"),
        ({"partitionKey": "a"}, "attribute 'partitionKey'; a name is of lower-case letters and digits"),
        ({"": "a"}, "attribute ''; a name"),
        ({"data": "a"}, "attribute 'data'; a name"),
        ({"database64": "a"}, "attribute 'database64'; a name"),
        ({"subject": "a\nb"}, r"attribute 'subject' holds the character '\\n'"),
        ({"x": "\ufdd0"}, r"attribute 'x' holds the character '\\ufdd0'"),
        ({"x": "\ud800"}, r"attribute 'x' holds the character '\\ud800'"),
        ({"time": "today"}, "attribute 'time' is 'today'; allowed: a time of RFC 3339"),
        ({"expirytime": ""}, "attribute 'expirytime' is ''"),
        ({"recordedtime": "2020-02-30T00:00:00Z"}, "attribute 'recordedtime' is '2020-02-30T00:00:00Z'"),
    ],
)
def test_what_an_event_may_not_have_is_named(attributes: dict[str, str], said: str) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        checked(KNOWN | attributes)
    assert caught.value.status == 400


def test_any_character_that_text_may_hold_is_taken_whether_or_not_it_is_printed() -> None:
    attributes = KNOWN | {"subject": "d\u00e9j\u00e0 \u00a0\u2028\U0001f600", "x1": ""}
    assert checked(attributes) is attributes


def test_what_is_not_said_is_none() -> None:
    event = cause()
    assert (event["id"], event.get("subject"), event.age_s(), event.has_expired()) == ("17", None, None, False)


def test_data_that_is_a_value_is_packed_as_its_text_and_bytes_stay_as_they_are() -> None:
    packed = cause(document={"a": [1, None]}).packed()
    assert (packed.document, json.loads(bytes(packed.data or b""))) == (NO_DOCUMENT, {"a": [1, None]})
    event = cause(b"raw")
    assert event.packed() is event


@given(st.floats(-1e6, 1e6))
def test_an_event_tells_how_old_it_is_and_whether_anybody_waits_for_it(age_s: float) -> None:
    when = (datetime.now(UTC) - timedelta(seconds=age_s)).isoformat()
    assert cause(time=when).age_s() == pytest.approx(age_s, abs=5)
    if abs(age_s) > 5:
        assert cause(expirytime=when).has_expired() is (age_s > 0)


def test_a_leap_second_is_the_one_before_it_and_an_offset_counts() -> None:
    assert parse_time("2016-12-31T23:59:60Z") == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert parse_time("1996-12-19T16:39:57-08:00") == datetime(1996, 12, 20, 0, 39, 57, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2016-12-31T23:59:60Z", "1985-04-12t23:20:50.52z", "1996-12-19T16:39:57-08:00"])
def test_times_of_rfc_3339_are_read(text: str) -> None:
    assert parse_time(text).tzinfo is not None


@pytest.mark.parametrize(
    "text",
    ["2016-12-31", "2016-12-31T23:59:59", "2016-13-31T23:59:59Z", "2016-12-31T23:59Z", "", "\u0662016-12-31T23:59:59Z"],
)
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(RequestError, match=r"RFC 3339"):
        parse_time(text)
