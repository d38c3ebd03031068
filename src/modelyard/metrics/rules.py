"""The rules by which the variant that ships is picked: each looks at one metric first."""

from __future__ import annotations

from collections.abc import Iterable

from modelyard.metrics import Quantity
from modelyard.metrics.standard import GZIP_SIZE, LATENCY_RATIO, SIZE

_NAMED = {
    "smallest": GZIP_SIZE.name,
    "smallest-file": SIZE.name,
    "fastest": LATENCY_RATIO.name,
    "most-accurate": "accuracy",
}
"""The rules that have a word of their own, and the metric that each looks at, where that is measured."""


def ties(quantities: Iterable[Quantity]) -> tuple[str, ...]:
    """Return the metrics that settle what is equal by the rule: the sizes, then the task's own, which is the first of all."""
    quality = next(iter(quantities)).name
    return tuple(dict.fromkeys((GZIP_SIZE.name, SIZE.name, quality)))


def rules_of(quantities: Iterable[Quantity]) -> dict[str, str]:
    """Return the metric that each rule looks at: those with a word of their own, and `best-METRIC` for every one."""
    names = [one.name for one in quantities]
    named = {rule: name for rule, name in _NAMED.items() if name in names}
    return {**named, **{f"best-{name.replace('_', '-')}": name for name in names}}
