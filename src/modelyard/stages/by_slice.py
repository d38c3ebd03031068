"""What a task measures of parts of the test split: of each value of a column that the data set gives its test samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError, did_you_mean, listing
from modelyard.metrics.registered import quantities_of
from modelyard.metrics.sliced import sliced, split_of, worst
from modelyard.task import Answers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Dataset
    from modelyard.metrics import Metric
    from modelyard.stages.measuring import Measuring

_BLOCK = 1024
"""Rows that are in memory at a time."""


def by_slice(
    measuring: Measuring, answers: Mapping[str, Answers], dataset: Dataset, columns: Sequence[str], out: Path
) -> Iterator[Metric]:
    """Yield each metric of a task for each of `columns`: that of each value, and of the worst.

    Args:
        measuring: the task.
        answers: the answers to the whole test split, and to each further test set that is measured.
        dataset: the data set.
        columns: columns of the test split; `SET.COLUMN` of a further test set.
        out: a folder that exists, for files that are gone when this ends.

    Raises:
        DataError: the data set has no such column.
        PluginError: the task does not measure what it says.
    """
    for column in columns:
        split, own = split_of(column)
        found = {name: measuring.scores(part).scores for name, part in _parts(answers[split], dataset, split, own, out)}
        for number, one in enumerate(sliced(quantities_of(measuring.component), [column])):
            yield worst(one, {name: scores[number].metric for name, scores in found.items()})


def _parts(answers: Answers, dataset: Dataset, split: str, column: str, out: Path) -> Iterator[tuple[str, Answers]]:
    """Yield each value of a column, and the answers to the samples that have it.

    Raises:
        DataError: there is no such column.
    """
    import numpy as np

    known = dataset.facts.slices_of(split)
    if column not in known:
        of, said = (f" of the test set {split!r}", f"test_set_slices={{{split!r}: {{{column!r}: [...]}}}}")
        of, said = ("", f"slices={{{column!r}: [...]}}") if split == "test" else (of, said)
        msg = (
            f"[tool.modelyard.evaluate]: key 'slices': the data set has no column {column!r}{of}{did_you_mean(column, known)}\n"
            f"  it has: {listing(known) or 'none'}; it says so with Splits(..., {said})"
        )
        raise DataError(msg)
    codes = dataset.slice_of(column, split)
    for number, name in enumerate(known[column]):
        rows = np.flatnonzero(codes == number)
        labels = None if answers.labels is None else _taken(answers.labels, rows, out)
        baseline = None if answers.baseline is None else _taken(answers.baseline, rows, out)
        yield name, Answers(_taken(answers.own, rows, out), labels, answers.output, baseline)


def _taken(array: NDArray[Any], rows: NDArray[np.intp], out: Path) -> NDArray[Any]:
    """Return some rows of an array, memory-mapped as the whole is: tasks look at either block by block."""
    from numpy.lib.format import open_memmap

    file = out / "slice.npy"
    taken: NDArray[Any] = open_memmap(file, mode="w+", dtype=array.dtype, shape=(len(rows), *array.shape[1:]))
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        taken[part] = array[rows[part]]
    file.unlink()  # what is open stays
    return taken
