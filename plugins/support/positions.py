"""What tasks share whose answer is a class at each position of a sample: of each pixel, or each token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.task import Agreement, Task
from modelyard_plugins.support.losses import IGNORED
from modelyard_plugins.support.per_sample import PerSample

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Splits
    from modelyard.task import Answers
    from modelyard.tensors import OutputFacts

_SUM_TOLERANCE = 1e-3
_ROUNDING = 1e-4
"""By less than this two probabilities are the same but for rounding."""


class PerPosition(Task):
    """A class at each position. Labels are whole numbers from 0, shape `(samples, *positions)`.

    A model answers probabilities, shape `(samples, *positions, classes)`; or a handler the numbers of the classes.

    Attributes:
        position: one position, for messages: `pixel`.
        ignore: the label of positions that do not count, neither in training nor in a metric; None: all count.
    """

    number = "a probability"
    position = "position"
    follows = True

    def __init__(self, ignore: int | None) -> None:
        self.ignore = ignore

    def check(self, splits: Splits) -> OutputFacts:
        """Return the answer: a probability for each class at each position."""
        from modelyard.errors import DataError
        from modelyard.tensors import OutputFacts
        from modelyard_plugins.support.data.labels import check_class_names, check_each_class

        shapes = [self._shape(name, getattr(splits, name)) for name in ("train_y", "test_y")]
        if shapes[0] != shapes[1]:
            msg = f"train_y: a label has the shape {shapes[0]}, but in test_y it has {shapes[1]}\n  give both the same"
            raise DataError(msg)
        labels = splits.labels("train")
        assert labels is not None
        names = check_class_names(splits.names or tuple(map(str, range(self._highest(labels) + 1))))
        for name in ("train_y", "test_y"):
            self._check_values(name, getattr(splits, name), len(names))
        wanted = OutputFacts(name="probabilities", shape=(*shapes[0], len(names)), activation="softmax", labels=names)
        if not splits.names:  # the highest label says how many there are, and may be one that means something else
            check_each_class(self.counts(self.stored(labels), wanted), names)
        return wanted

    def given(self, output: OutputFacts) -> OutputFacts:
        """Return what a handler may give: probabilities, or the numbers of the classes."""
        from msgspec.structs import replace

        from modelyard.tensors import ANY_SHAPE

        return replace(output, shape=ANY_SHAPE)

    def _highest(self, labels: NDArray[Any]) -> int:
        stored = self.stored(labels)
        return int(stored.max(initial=IGNORED))

    def _shape(self, name: str, labels: NDArray[Any] | None) -> tuple[int, ...]:
        from modelyard.errors import DataError

        if labels is None or labels.dtype.kind not in "iu" or labels.ndim < 2 or not labels.size:
            given = "there is none" if labels is None else f"labels are {labels.dtype}, shape {labels.shape}"
            msg = f"{name}: {given}\n  a class of each {self.position} is needed: whole numbers from 0, shape (samples, ...)"
            raise DataError(msg)
        return labels.shape[1:]

    def _check_values(self, name: str, labels: NDArray[Any], classes: int) -> None:
        from modelyard.errors import DataError

        stored = self.stored(labels)
        wrong = (stored < IGNORED) | (stored >= classes)
        if self.ignore != IGNORED:
            wrong |= labels == IGNORED if labels.dtype.kind == "i" else False
        if wrong.any():
            row = int(wrong.reshape(len(labels), -1).any(axis=1).argmax())
            found = int(labels[row][wrong[row]][0])
            msg = (
                f"{name}: sample {row} has a {self.position} with the label {found}, but there are {classes} class names\n"
                f"  labels count from 0 to {classes - 1}; of a {self.position} that does not count say: "
                f"[tool.modelyard.task] ignore = {found}"
            )
            raise DataError(msg)

    def stored(self, labels: NDArray[Any]) -> NDArray[np.int32]:
        """Return labels as int32, those that do not count as -1."""
        import numpy as np

        found = labels.astype(np.int32)
        if self.ignore is not None:
            found[labels == self.ignore] = IGNORED
        return found

    def counts(self, labels: NDArray[Any], output: OutputFacts) -> tuple[int, ...]:
        """Return in how many samples each class is."""
        flat = labels.reshape(len(labels), -1)
        return tuple(int((flat == one).any(axis=1).sum()) for one in range(len(output.labels)))

    def check_answers(self, answers: NDArray[Any], first: int) -> None:
        """Check that there is a distribution at each position, or the number of a class."""
        import numpy as np

        from modelyard.errors import PluginError

        if answers.dtype.kind in "iu":
            return
        sums = answers.astype(np.float64).sum(axis=-1)
        good = np.isfinite(sums) & (abs(sums - 1) <= _SUM_TOLERANCE) & (answers >= 0).all(axis=-1)
        good = good.reshape(len(answers), -1).all(axis=1)
        if not good.all():
            row = int(np.argmin(good))
            msg = (
                f"the runtime's answer to test sample {first + row} has a {self.position} without a distribution\n"
                "  predict must return probabilities, the classes along the last axis"
            )
            raise PluginError(msg)

    def agreement(self, own: NDArray[Any], other: NDArray[Any]) -> Agreement:
        """Return in how many samples a position is of another class by more than a rounding, and the largest difference."""
        import numpy as np

        if own.dtype.kind in "iu":
            return Agreement(int((own != other).reshape(len(own), -1).any(axis=1).sum()), 0.0)
        best, theirs = own.argmax(axis=-1)[..., None], other.argmax(axis=-1)[..., None]
        lead = np.take_along_axis(own, best, -1) - np.take_along_axis(own, theirs, -1)
        differ = ((best != theirs) & ~(lead <= _ROUNDING)).reshape(len(own), -1).any(axis=1)
        return Agreement(int(differ.sum()), float(np.abs(own - other).max(initial=0.0)))


class Confusion:
    """What is taken for what, and which part of each sample is right: an accumulator without figures.

    Attributes:
        names: the classes.
        found: how many positions of a class (row) were taken for a class (column), shape `(classes, classes)`.
    """

    def __init__(self, names: Sequence[str]) -> None:
        import numpy as np

        self.names = names
        self.found: NDArray[np.int64] = np.zeros((len(names), len(names)), np.int64)
        self._right = PerSample()

    def update(self, block: Answers) -> None:
        """Look at further samples.

        Their answers are probabilities, shape `(samples, *positions, classes)`, or numbers of classes, shape
        `(samples, *positions)`.
        """
        import numpy as np

        assert block.labels is not None
        said = block.own if block.own.dtype.kind in "iu" else block.own.argmax(axis=-1)
        given, labels = (each.reshape(len(each), -1) for each in (said, block.labels))
        counted, classes = labels != IGNORED, len(self.names)
        pairs = labels[counted].astype(np.int64) * classes + given[counted]
        self.found += np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
        many = counted.sum(axis=1)
        hits = ((given == labels) & counted).sum(axis=1)
        self._right.add(np.where(many > 0, hits / np.maximum(many, 1), 1.0))

    def merge(self, later: Self) -> None:
        """Take what another found of later samples."""
        self.found += later.found
        self._right.merge(later._right)

    @property
    def right(self) -> NDArray[np.float64]:
        """The part of the positions that count where the answer is right, shape `(samples,)`, 1 where none counts."""
        return self._right.values


def rate(over: NDArray[Any], under: NDArray[Any]) -> list[float | None]:
    """Return the rate of each class; None of one that is neither there nor said."""
    return [float(a / b) if b else None for a, b in zip(over, under, strict=True)]


def mean(each: Sequence[float | None]) -> float:
    """Return the mean of the rates that there are."""
    known = [one for one in each if one is not None]
    return sum(known) / len(known) if known else 0.0
