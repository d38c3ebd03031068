"""The rules by which the variant that ships is picked: each looks at one metric first."""

from __future__ import annotations

from collections.abc import Iterable

from modelyard.metrics import Quantity
from modelyard.metrics.standard import ACCURACY, GZIP_SIZE, LATENCY_RATIO, SIZE

_NAMED = {
    "smallest": GZIP_SIZE.name,
    "smallest-file": SIZE.name,
    "fastest": LATENCY_RATIO.name,
    "most-accurate": ACCURACY.name,
}
"""The rules that have a word of their own, and the metric that each looks at."""

TIES = (GZIP_SIZE.name, SIZE.name, ACCURACY.name)
"""The metrics that settle what is equal by the rule."""


def rules_of(quantities: Iterable[Quantity]) -> dict[str, str]:
    """Return the metric that each rule looks at: those with a word of their own, and `best-METRIC` for every one."""
    return {**_NAMED, **{f"best-{one.name.replace('_', '-')}": one.name for one in quantities}}
