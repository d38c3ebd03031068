"""The words for what a build would do, and for how an artifact stands."""

from __future__ import annotations

import pytest

from modelyard.build.verdict import STATES, STATUSES, Findings, Verdict, in_words, of_all

STALE = Findings(is_of_another_key=True)
GONE = Findings(absent="there is no artifact")


@pytest.mark.parametrize(
    ("state", "findings", "standing"),
    [
        ("up-to-date", Findings(), "up-to-date"),
        ("restore", STALE, "stale"),
        ("run", STALE, "stale"),
        ("maybe", Findings(), "maybe"),
        ("maybe", STALE, "maybe"),
        ("run", Findings(), "stale"),
        ("restore", GONE, "missing"),
        ("maybe", GONE, "missing"),
        ("run", GONE, "missing"),
    ],
)
def test_how_an_artifact_stands_follows_from_the_verdict(state: str, findings: Findings, standing: str) -> None:
    assert Verdict(state=state, findings=findings).status == standing
    assert standing in STATUSES


def test_of_several_stages_the_one_with_the_most_work_counts() -> None:
    assert [of_all(STATES[: n + 1]) for n in range(4)] == list(STATES)
    assert of_all(["run", "up-to-date"]) == "run"
    assert of_all([]) == "up-to-date"


def test_words() -> None:
    assert [in_words(state) for state in STATES] == ["up to date", "restore", "maybe", "run"]
