"""The rules by which the variant that ships is picked: each looks at one metric first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from modelyard.metrics import Quantity
from modelyard.metrics.standard import GZIP_SIZE, LATENCY_RATIO, SIZE


class _Rule(NamedTuple):
    """A rule that has a word of its own: the metric that it looks at, where that is measured, and what it picks, in words."""

    metric: str
    picks: str


_NAMED = {
    "smallest": _Rule(GZIP_SIZE.name, "the smallest after gzip"),
    "smallest-file": _Rule(SIZE.name, "the smallest"),
    "fastest": _Rule(LATENCY_RATIO.name, "the smallest of the fastest"),
    "most-accurate": _Rule("accuracy", "the most accurate"),
}


def ties(quantities: Iterable[Quantity]) -> tuple[str, ...]:
    """Return the metrics that settle what is equal by the rule: the sizes, then the task's own, which is the first of all."""
    quality = next(iter(quantities)).name
    return tuple(dict.fromkeys((GZIP_SIZE.name, SIZE.name, quality)))


def rules_of(quantities: Iterable[Quantity]) -> dict[str, str]:
    """Return the metric that each rule looks at: those with a word of their own, and `best-METRIC` for every one."""
    names = [one.name for one in quantities]
    named = {word: rule.metric for word, rule in _NAMED.items() if rule.metric in names}
    return {**named, **{f"best-{name.replace('_', '-')}": name for name in names}}


def picks(rule: str, head: str) -> str:
    """Return what a rule picks, in words; `head` is what tables call the metric that it looks at."""
    return _NAMED[rule].picks if rule in _NAMED else f"the best by {head}"
