"""What a stage that runs elsewhere is asked, and its answer, as documents of the store."""

from __future__ import annotations

import msgspec
import pytest

from modelyard.execution.request import Answer, StageRequest, answer_name
from modelyard.files.json import as_json, decode
from modelyard.files.manifest import FileEntry
from modelyard.store.record import Record

ENTRY = FileEntry("ab" * 32, 12, executable=True)
REQUEST = StageRequest(
    job="modelyard-ab-0",
    stage="train:net",
    key="cd" * 32,
    parts={"component": {"epochs": 3}, "seed": 0, "rate": 0.5},
    inputs={"dataset:d": Record(stage="dataset:d", key="ef" * 32, digest="0" * 64, outputs={"x.npy": ENTRY})},
    sources={"pyproject.toml": FileEntry("12" * 32, 3)},
    overrides={"train.epochs": "3"},
    commit="abc+",
)


@pytest.mark.parametrize(
    "said",
    [REQUEST, msgspec.structs.replace(REQUEST, force=True), Answer(key="cd"), Answer(key="", message="no", log="é")],
)
def test_each_is_read_on_the_other_machine_as_it_was_written(said: StageRequest | Answer) -> None:
    assert decode(as_json(said), type(said)) == said


def test_the_same_question_is_the_same_document() -> None:
    """It is found by its digest: in another order it would be another one."""
    turned = dict(reversed(REQUEST.parts.items()))
    assert as_json(msgspec.structs.replace(REQUEST, parts=turned)) == as_json(REQUEST)


def test_an_answer_that_says_nothing_is_a_result() -> None:
    assert (Answer(key="cd").message, REQUEST.force) == ("", False)


@pytest.mark.parametrize("name", ["job", "stage", "key", "parts", "inputs", "sources", "overrides", "commit"])
def test_a_question_that_lacks_something_is_none(name: str) -> None:
    said = {key: value for key, value in msgspec.json.decode(as_json(REQUEST)).items() if key != name}
    with pytest.raises(msgspec.ValidationError, match=f"missing required field `{name}`"):
        decode(as_json(said), StageRequest)


def test_two_jobs_answer_in_two_places() -> None:
    assert answer_name("modelyard-ab-0").endswith("/modelyard-ab-0.json")
    assert answer_name("a") != answer_name("b")
