"""One event on its way through the model: read, answered or refused, and counted as what became of it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from tests.serving.events.causes import cause
from tests.serving.small_models import LIMITS, served

from modelyard.serving.answers import FAILED
from modelyard.serving.errors import InputError, Overloaded, RequestError
from modelyard.serving.events.asking import Asking, Expired, Outcome
from modelyard.serving.events.event import NO_DOCUMENT, Event
from modelyard.serving.events.names import RESULT
from modelyard.serving.events.result import Results
from modelyard.serving.tensors import TensorError
from modelyard.serving.trace import Trace

RESULTS = Results.of(served(), None)
DATA = b'{"instances": [[3, 4]]}'
ANSWER = {"scores": np.array([[0.5, 0.25, 0.25]], np.float32)}


def asking(event: Event, **more: Any) -> Asking:
    return Asking(lambda: event, RESULTS, LIMITS, small=True, **more)


def test_an_event_is_read_and_its_answer_is_done() -> None:
    one = asking(cause(DATA, subject="a"), trace=Trace("1" * 32, "2" * 16, "", 1))
    assert one.read()["pixels"].tolist() == [[3, 4]]
    outcome = one.answer(ANSWER)

    assert (outcome.name, outcome.wrong) == ("done", None)
    assert outcome.result is not None
    assert (outcome.result["type"], outcome.result["causationid"], outcome.result["subject"]) == (RESULT, "17", "a")
    assert outcome.result["traceparent"].startswith(f"00-{'1' * 32}-")
    assert json.loads(bytes(outcome.result.data or b"")) == {"predictions": [[0.5, 0.25, 0.25]]}


@pytest.mark.parametrize("event", [cause(DATA), cause(document=json.loads(DATA))])
def test_what_an_event_holds_is_not_kept_until_it_is_answered(event: Event) -> None:
    one = asking(event)
    one.read()
    kept = one.answer(ANSWER).event
    assert kept is not None
    assert (kept.attributes, kept.data, kept.document) == (event.attributes, None, NO_DOCUMENT)


def test_how_long_it_may_wait_is_known_once_it_is_read() -> None:
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": [1, 2], "data": [3, 4]}
    one = asking(cause(document={"inputs": [tensor], "parameters": {"timeout": 1000}}))
    assert one.timeout_s is None
    one.read()
    assert one.timeout_s == 0.001


def test_an_event_whose_time_is_over_is_not_answered_and_nothing_is_wrong() -> None:
    one = asking(cause(b"rubbish", expirytime="2001-01-01T00:00:00Z"))
    with pytest.raises(Expired) as caught:
        one.read()
    outcome = one.refuse(caught.value)
    assert (outcome.name, outcome.result, outcome.wrong) == ("expired", None, None)
    assert outcome.event is not None
    assert outcome.event["id"] == "17"


def test_our_own_answer_would_go_round() -> None:
    with pytest.raises(RequestError, match="an answer of 'urn:modelyard:net:1' itself: it would go round") as caught:
        asking(cause(DATA, type=RESULT, source="urn:modelyard:net:1")).read()
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("exc", "name", "status", "message"),
    [
        (RequestError(415, "of no type"), "unprocessable", 415, "of no type"),
        (TensorError("no tensor"), "unprocessable", 400, "no tensor"),
        (InputError("no sample"), "unprocessable", 400, "no sample"),
        (Overloaded("too many"), "returned", 503, "too many"),
        (RequestError(500, "odd"), "failed", 500, "odd"),
        (RuntimeError("a secret of the model's"), "failed", 500, FAILED),
    ],
)
def test_what_went_wrong_is_counted_by_whether_it_will_next_time(
    exc: Exception, name: str, status: int, message: str
) -> None:
    one = asking(cause(DATA))
    one.read()
    outcome = one.refuse(exc)
    assert outcome.wrong is not None
    assert (outcome.name, outcome.result) == (name, None)
    assert (outcome.wrong.status, outcome.wrong.message) == (status, message)


def test_what_is_told_does_not_hold_on_to_what_was_read() -> None:
    one = asking(cause(b"rubbish"))
    with pytest.raises(TensorError) as caught:
        one.read()
    wrong = one.refuse(caught.value).wrong
    assert wrong is not None
    assert (wrong.__traceback__, wrong.__context__, wrong.__cause__) == (None, None, None)
    refused = RequestError(400, "refused")
    assert one.refuse(refused).wrong is not refused


def test_of_what_could_not_be_read_there_is_no_event() -> None:
    def rubbish() -> Event:
        raise RequestError(400, "not a CloudEvent")

    one = Asking(rubbish, RESULTS, LIMITS, small=False)
    with pytest.raises(RequestError) as caught:
        one.read()
    outcome = one.refuse(caught.value)
    assert (outcome.event, outcome.name, one.small) == (None, "unprocessable", False)


def test_an_outcome_without_anything_is_one_that_nobody_waits_for() -> None:
    assert Outcome(None).name == "expired"
