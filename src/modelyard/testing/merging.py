"""The contract of a task's accumulator: what it finds in parts of a split, merged, is what it finds in the whole."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.task import Answers, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.task import Accumulator, Scores

_ROUNDING = 1e-9
"""Sums of the same numbers in another order differ by no larger part than this."""


def check_merges(name: str, task: Task, answers: Answers) -> None:
    """Check that a task which has an accumulator finds the same in blocks, and in parts that are merged, as in the whole.

    Raises:
        AssertionError: it does not; the message says how the samples were cut.
    """
    samples = len(answers.own)
    if type(task).accumulator is Task.accumulator or samples < 2:
        return
    whole = _plain(_found(task, answers, range(samples), samples).result())
    cuts = [(samples // 2,), (1, samples - 1)] if samples > 2 else [(1,)]
    for block, cut in ((1, ()), (7, ()), *((5, cut) for cut in cuts)):
        found = _plain(_merged(task, answers, (0, *cut, samples), block).result())
        said = f"in blocks of {block} sample(s)" + (f", in parts that are cut at {cut} and merged" if cut else "")
        assert _alike(found, whole), (
            f"task {name!r}: {samples} samples at once and {said} measure otherwise: {str(whole)[:200]}, {str(found)[:200]}\n"
            "  keep in `update` what every figure is made of, in `merge` add it up, and in `result` make the figures"
        )


def _merged(task: Task, answers: Answers, ends: Sequence[int], block: int) -> Accumulator:
    first, *later = (_found(task, answers, range(*part), block) for part in itertools.pairwise(ends))
    for one in later:
        first.merge(one)
    return first


def _found(task: Task, answers: Answers, rows: range, block: int) -> Accumulator:
    found = task.accumulator(answers.output)
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
