from __future__ import annotations

import pytest

from modelyard.metrics import Quantity
from modelyard.metrics.rules import picks, rules_of, ties
from modelyard.metrics.standard import STANDARD

ERROR = Quantity(name="mean_error", better="lower", title="error")
ACCURACY = Quantity(name="accuracy", better="higher", unit="fraction")


def test_every_metric_has_a_rule_and_some_have_a_word_of_their_own() -> None:
    found = rules_of((ACCURACY, *STANDARD))
    assert {name for rule, name in found.items() if rule.startswith("best-")} == {
        "accuracy",
        *(q.name for q in STANDARD),
    }
    own = {rule: name for rule, name in found.items() if not rule.startswith("best-")}
    assert own == {
        "smallest": "gzip_size",
        "smallest-file": "size",
        "fastest": "latency_ratio",
        "most-accurate": "accuracy",
    }
    assert found["best-latency-p50"] == "latency_p50"


def test_a_rule_that_looks_at_what_is_not_measured_is_none() -> None:
    assert rules_of((ERROR,)) == {"best-mean-error": "mean_error"}
    assert "most-accurate" not in rules_of((ERROR, *STANDARD))


def test_ties_go_by_the_sizes_and_then_by_what_counts_most() -> None:
    assert ties((ERROR, *STANDARD)) == ("gzip_size", "size", "mean_error")
    assert ties(STANDARD) == ("gzip_size", "size")


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("smallest", "the smallest after gzip"),
        ("most-accurate", "the most accurate"),
        ("best-mean-error", "the best by error"),
    ],
)
def test_what_a_rule_picks_is_told_in_words(rule: str, words: str) -> None:
    assert picks(rule, ERROR.title) == words
