"""What the `doit` process and its workers write for each other is read as it was written."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.execution.protocol import Failure, Request, Result, Seen
from modelyard.files.json import decode

NAMED = {"project": "/p", "stage": "train:net", "out": "/o", "cache": "/c", "result": "/r", "log": "/l"}
TEXT = st.text(max_size=12)
MARKS = st.none() | st.tuples(*[st.integers(0, 2**63)] * 4)
REQUESTS = st.builds(
    Request,
    id=st.integers(1),
    **dict.fromkeys(NAMED, TEXT),
    overrides=st.dictionaries(TEXT, TEXT, max_size=2),
    inputs=st.dictionaries(TEXT, TEXT, max_size=2),
    sources=st.dictionaries(TEXT, MARKS, max_size=2),
    files=st.lists(TEXT, max_size=2),
    ways=st.dictionaries(TEXT, TEXT, max_size=2),
)
SEEN = st.builds(
    Seen,
    opened=st.dictionaries(TEXT, st.none(), max_size=2),
    programs=st.dictionaries(TEXT, st.none(), max_size=2),
    files=st.dictionaries(TEXT, MARKS, max_size=2),
    variables=st.dictionaries(TEXT, TEXT, max_size=2),
)
RESULTS = st.builds(
    Result,
    metrics=st.dictionaries(TEXT, st.floats(allow_nan=False, allow_infinity=False) | TEXT, max_size=2),
    failure=st.none() | st.builds(Failure, TEXT, TEXT),
    seen=SEEN,
)


@settings(max_examples=30)
@given(st.one_of(REQUESTS, RESULTS))
def test_each_is_read_as_it_was_written(said: Request | Result) -> None:
    """A signature is compared with one of today, a tuple: as a list it would be another for ever."""
    assert decode(msgspec.json.encode(said), type(said)) == said


def test_a_stage_of_a_whole_project_says_no_more_than_it_must() -> None:
    request = Request(id=1, overrides={}, inputs={}, **NAMED)  # type: ignore[arg-type]
    assert request.is_whole
    assert (request.sources, request.files, request.ways) == ({}, [], {})
    with pytest.raises(TypeError, match="Missing required argument 'log'"):
        Request(id=1, overrides={}, inputs={}, **{k: v for k, v in NAMED.items() if k != "log"})  # type: ignore[arg-type]


def test_what_was_seen_of_one_stage_is_not_of_another() -> None:
    one, other = Result(), Result()
    one.seen.files["a"] = None
    one.metrics["loss"] = 0.5
    assert (other.seen.files, other.metrics) == ({}, {})


@pytest.mark.parametrize(
    "answer", [b"", b"{", b'{"metrics": 3}', b'{"seen": {"files": {"a": [1, 2]}}}', b'{"failure": "no"}']
)
def test_half_an_answer_is_none(answer: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whichever of msgspec's
        decode(answer, Result)


def test_a_stage_that_reached_its_end_has_no_failure() -> None:
    empty: dict[str, Any] = {}
    assert decode(b"{}", Result) == Result(metrics=empty, failure=None, seen=Seen())
    assert decode(b'{"failure": {"message": "no"}}', Result).failure == Failure("no")
