"""The contract of accumulators, of tasks and of metrics: what it finds in parts of a split, merged, is what it finds in the whole."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.task import Answers, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from modelyard.task import Scores

_ROUNDING = 1e-9
"""Sums of the same numbers in another order differ by no larger part than this."""


def check_merges(name: str, task: Task, answers: Answers) -> None:
    """Check that a task which has an accumulator finds the same in blocks, and in parts that are merged, as in the whole.

    Raises:
        AssertionError: it does not; the message says how the samples were cut.
    """
    if type(task).accumulator is not Task.accumulator:
        check_parts(f"task {name!r}", lambda: task.accumulator(answers.output), answers, _plain)


def check_parts(who: str, fresh: Callable[[], Any], answers: Answers, plain: Callable[[Any], Any]) -> None:
    """Check that accumulators find the same in blocks, and in parts that are merged in any order, as in the whole.

    Args:
        who: what makes them, for the message.
        fresh: returns one that has seen nothing yet: a `modelyard.task.Accumulator` or a `MetricAccumulator`.
        answers: what they are given.
        plain: turns a result into lists, dicts, texts and numbers.

    Raises:
        AssertionError: they do not; the message says how the samples were cut.
    """
    samples = len(answers.own)
    if samples < 2:
        return
    whole = plain(_found(fresh, answers, range(samples), samples).result())
    for block, cut, from_behind in _cuts(samples):
        found = plain(_merged(fresh, answers, (0, *cut, samples), block, from_behind).result())
        order = "merged from behind" if from_behind else "merged"
        said = f"in blocks of {block} sample(s)" + (f", in parts that are cut at {cut} and {order}" if cut else "")
        assert _alike(found, whole), (
            f"{who}: {samples} samples at once and {said} measure otherwise: {str(whole)[:200]}, {str(found)[:200]}\n"
            "  keep in `update` what every figure is made of, in `merge` add it up, and in `result` make the figures"
        )


def _cuts(samples: int) -> Iterator[tuple[int, tuple[int, ...], bool]]:
    """Yield how large blocks are, where the samples are cut, and whether the last parts are merged first."""
    yield 1, (), False
    yield 7, (), False
    if samples == 2:
        yield 5, (1,), False
        return
    yield 5, (samples // 2,), False
    for from_behind in (False, True):
        yield 5, (1, samples - 1), from_behind


def _merged(fresh: Callable[[], Any], answers: Answers, ends: Sequence[int], block: int, from_behind: bool) -> Any:
    parts = [_found(fresh, answers, range(*part), block) for part in itertools.pairwise(ends)]
    while len(parts) > 1:
        later = parts.pop(-1 if from_behind else 1)
        parts[-1 if from_behind else 0].merge(later)
    return parts[0]


def _found(fresh: Callable[[], Any], answers: Answers, rows: range, block: int) -> Any:
    found = fresh()
    part = slice(rows.start, rows.stop)
    own, labels, other = (None if one is None else one[part] for one in (answers.own, answers.labels, answers.baseline))
    assert own is not None
    for one in Answers(own, labels, answers.output, other).parts(block):
        found.update(one)
    return found


def _plain(scores: Scores) -> Any:
    """Return scores as lists, dicts, texts and numbers."""
    each = [
        [msgspec.to_builtins(one.metric), None if one.per_sample is None else one.per_sample.tolist()]
        for one in scores.scores
    ]
    return [each, msgspec.to_builtins(dict(scores.details))]


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, float | int) and isinstance(other, float | int):
        return math.isclose(one, other, rel_tol=_ROUNDING, abs_tol=_ROUNDING)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    return bool(one == other)
