"""What a task measures on further test sets of the data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.errors import DataError, did_you_mean, listing
from modelyard.metrics.sliced import on_set
from modelyard.task import Score, Scores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from modelyard.artifacts import DatasetFacts
    from modelyard.stages.measuring import Measuring
    from modelyard.task import Answers


def on_test_sets(
    measuring: Measuring, facts: DatasetFacts, names: Sequence[str], answered: Callable[[str], Answers]
) -> Iterator[tuple[str, Scores]]:
    """Yield each of the test sets `names`, with what a task measures on it.

    Args:
        measuring: the task.
        facts: what the data set says of itself.
        names: the test sets.
        answered: gives the answers to one.

    Raises:
        DataError: the data set has no such set.
        PluginError: the task does not measure what it says.
    """
    for name in names:
        known = facts.test_sets
        if name not in known:
            msg = (
                f"[tool.modelyard.evaluate]: key 'test_sets': the data set has no test set {name!r}{did_you_mean(name, known)}\n"
                f"  it has: {listing(known) or 'none'}; it says so with Splits(..., test_sets={{{name!r}: (x, y)}})"
            )
            raise DataError(msg)
        found = measuring.scores(answered(name))
        yield name, Scores([Score(on_set(metric, name), own) for metric, own in found.scores], found.details)
