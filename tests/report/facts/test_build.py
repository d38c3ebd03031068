from __future__ import annotations

from typing import Any

import msgspec
import pytest

from modelyard.explain import provenance
from modelyard.report.facts import CurveFacts, Origin, ProjectFacts, StageFacts

STAGE: dict[str, Any] = {
    "stage": "train:net",
    "state": "stale",
    "how": "restored",
    "touched": True,
    "started": "2026-01-02T03:04:05+00:00",
    "duration_s": 2,
    "digest": "d",
    "reads": ["dataset:data"],
}


def test_a_stage_of_a_report_that_says_nothing_of_reasons_has_none() -> None:
    one = msgspec.convert(STAGE, StageFacts)
    assert (one.reasons, one.failure, one.reads, one.duration_s) == ((), "", ("dataset:data",), 2.0)
    assert msgspec.json.decode(msgspec.json.encode(one), type=StageFacts) == one


@pytest.mark.parametrize("other", [{"state": "fresh"}, {"how": "copied"}, {"duration_s": "long"}, {"reads": None}])
def test_a_state_and_how_an_artifact_came_are_words_that_are_known(other: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError, match=next(iter(other))):
        msgspec.convert({**STAGE, **other}, StageFacts)


def test_outside_git_there_is_no_commit_and_nobody_knows_whether_it_is_clean() -> None:
    one = msgspec.json.decode(b'{"name": "p", "version": "1", "commit": "", "clean": null}', type=ProjectFacts)
    assert (one.commit, one.clean) == ("", None)


def test_a_curve_may_have_gaps_and_epochs_that_are_no_whole_numbers() -> None:
    text = b'{"stage": "train:net", "epochs": [0.5, 1], "figures": {"loss": [1, null]}}'
    one = msgspec.json.decode(text, type=CurveFacts)
    assert (one.epochs, one.figures) == ((0.5, 1.0), {"loss": (1.0, None)})
    assert msgspec.json.decode(msgspec.json.encode(one), type=CurveFacts) == one


def test_the_fields_of_an_origin_are_those_of_build_json() -> None:
    own = {name: kind for name, kind in Origin.__annotations__.items() if name != "stage"}
    assert own.items() <= provenance.StageFacts.__annotations__.items()
