"""What is learnt where several outputs of a model count: a task for each, and their answers side by side in one array."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from modelyard.errors import DataError, PluginError, listing
from modelyard.files.fields import joined
from modelyard.metrics.several import of_output
from modelyard.task import Agreement, Answers, Score, Scores, Task
from modelyard.tensors import OutputFacts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from modelyard.artifacts import Splits


class Several(Task):
    """A task for each of several outputs. Labels and answers are arrays with a field for each output, shape `(samples,)`.

    Attributes:
        tasks: the tasks by the outputs' names.
    """

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        self.tasks = tasks
        self.looks_at_baseline = any(one.looks_at_baseline for one in tasks.values())

    def check(self, splits: Splits) -> OutputFacts:
        """Return the answers that the tasks want, each called as its output is."""
        parts = tuple(self._check(name, task, splits) for name, task in self.tasks.items())
        return OutputFacts(name="+".join(self.tasks), shape=(), parts=parts)

    def _check(self, name: str, task: Task, splits: Splits) -> OutputFacts:
        names = splits.class_names
        if not isinstance(names, Mapping) and len(names):
            msg = f"class_names: is one list for {len(self.tasks)} outputs\n  give a dict with the names of each output that has some: {listing(self.tasks)}"
            raise DataError(msg)
        own = names.get(name, ()) if isinstance(names, Mapping) else ()
        labels = {split: _of(getattr(splits, split), name) for split in ("train_y", "test_y")}
        try:
            found = task.check(replace(splits, class_names=own, **labels))
        except DataError as exc:
            msg = f"output {name!r}: {exc}"
            raise DataError(msg) from exc
        if found.dtype == "bytes" or found.parts:
            msg = f"output {name!r}: its answers are texts, which are measured alone\n  leave the other outputs out of [tool.modelyard.task.outputs]"
            raise DataError(msg)
        return replace(found, name=name)

    def stored(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Return labels as each task keeps them."""
        return joined({name: self.tasks[name].stored(labels[name]) for name in labels.dtype.names or ()})

    def counts_by_output(self, labels: NDArray[Any], output: OutputFacts) -> dict[str, tuple[int, ...]]:
        """Return how many samples have each label of each output that has labels to count."""
        there = (one for one in output.parts if one.name in (labels.dtype.names or ()))
        each = {one.name: self.tasks[one.name].counts(labels[one.name], one) for one in there}
        return {name: counts for name, counts in each.items() if counts}

    def check_answers(self, answers: NDArray[Any], first: int) -> None:
        """Check the answers of each output."""
        for name, task in self.tasks.items():
            try:
                task.check_answers(answers[name], first)
            except PluginError as exc:
                msg = f"output {name!r}: {exc}"
                raise PluginError(msg) from exc

    def measure(self, answers: Answers) -> Scores:
        """Return what each task measures of its output, called `OUTPUT_METRIC`; their details by output."""
        found = {one.name: self.tasks[one.name].measure(_part(answers, one)) for one in answers.output.parts}
        scores = [
            Score(of_output(metric, name), per_sample)
            for name, its in found.items()
            for metric, per_sample in its.scores
        ]
        return Scores(scores, {"outputs": {name: dict(its.details) for name, its in found.items()}})

    def agreement(self, own: NDArray[Any], other: NDArray[Any]) -> Agreement:
        """Return how many answers differ, over all outputs, and the largest difference of a number."""
        each = [task.agreement(own[name], other[name]) for name, task in self.tasks.items()]
        return Agreement(sum(one.differ for one in each), max(one.worst for one in each))


def _part(answers: Answers, output: OutputFacts) -> Answers:
    name = output.name
    own, labels, baseline = (_of(one, name) for one in (answers.own, answers.labels, answers.baseline))
    return Answers(own, labels, output, baseline)


def _of(array: Any, name: str) -> Any:
    """Return a field of an array; None where there is no such array or field."""
    return None if array is None or name not in (array.dtype.names or ()) else array[name]


def with_joined_labels(splits: Splits, task: Task) -> Splits:
    """Return splits whose labels, where they are given by output, are one array with a field for each.

    Raises:
        DataError: they are given by output and the project learns one, or the other way round, or they do not fit.
    """
    return replace(splits, **dict(_labels(splits, task)))


def _labels(splits: Splits, task: Task) -> Iterator[tuple[str, Any]]:
    for place in ("train_y", "test_y"):
        labels = getattr(splits, place)
        if isinstance(task, Several) and labels is not None:
            yield place, _joined(place, labels, task)
        elif isinstance(labels, Mapping):
            msg = f"{place}: is a dict of labels by output, but the project learns one output\n  give each a task, [tool.modelyard.task.outputs.NAME] use = ..., or give one array"
            raise DataError(msg)


def _joined(place: str, labels: Any, task: Several) -> NDArray[Any]:
    if not isinstance(labels, Mapping):
        msg = f"{place}: is a {type(labels).__name__}, but there are {len(task.tasks)} outputs\n  give a dict with the labels of each: {listing(task.tasks)}"
        raise DataError(msg)
    if unknown := [name for name in labels if name not in task.tasks]:
        msg = f"{place}: there is no output {unknown[0]!r}\n  those with a task: {listing(task.tasks)}"
        raise DataError(msg)
    for name, one in labels.items():
        if not all(hasattr(one, part) for part in ("ndim", "shape", "dtype")) or not one.ndim:
            msg = f"{place}[{name!r}]: is a {type(one).__name__}, not a numpy array\n  give one array, a label along its first axis"
            raise DataError(msg)
    lengths = {name: len(one) for name, one in labels.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name!r} has {count:,}" for name, count in lengths.items())
        msg = f"{place}: {said}\n  each sample has a label of every output"
        raise DataError(msg)
    return joined(labels)
