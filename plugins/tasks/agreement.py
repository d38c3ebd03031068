"""The task `agreement`: whatever a model answers, a variant shall answer the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.metrics import Quantity
from modelyard.task import Agreement, Answers, Score, Scores, Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelyard.artifacts import Splits
    from modelyard.hookspecs import RegisterTask
    from modelyard.tensors import OutputFacts

ERROR = Quantity(
    name="relative_error", better="lower", title="relative error", worse="farther off", sampled=True, detail=0
)
SAME = Quantity(
    name="same_largest", better="higher", unit="fraction", title="same largest", worse="farther off", sampled=True
)


class Following(Task):
    """Nothing is known of what is right: a variant is measured by how near its answers are to the baseline's."""

    looks_at_baseline = True
    block = 256

    def check(self, splits: Splits) -> OutputFacts:  # noqa: ARG002 - whatever the samples are
        """Return the answer: a tensor of the shape that the model says."""
        from modelyard.tensors import ANY_SHAPE, OutputFacts

        return OutputFacts(name="output", shape=ANY_SHAPE)

    def check_answers(self, answers: NDArray[Any], first: int) -> None:
        """Check that all numbers are finite; of texts there is nothing to check."""
        if answers.dtype.kind not in "SO":
            super().check_answers(answers, first)

    def agreement(self, own: NDArray[Any], other: NDArray[Any]) -> Agreement:
        """Return the largest difference between two numbers, or in how many samples a text is another."""
        if own.dtype.kind not in "SO":
            return super().agreement(own, other)
        unlike = (_texts(own) != _texts(other)).reshape(len(own), -1)
        return Agreement(differ=int(unlike.any(axis=1).sum()), worst=0.0)

    def accumulator(self, output: OutputFacts) -> _Found:  # noqa: ARG002 - whatever it is
        """Return what measures the distance to the baseline's answers."""
        return _Found()


class _Found:
    """How far each answer is from the baseline's, see `modelyard.task.Accumulator`."""

    def __init__(self) -> None:
        from modelyard_plugins.support.per_sample import PerSample

        self._error, self._same = PerSample(), PerSample()

    def update(self, block: Answers) -> None:
        """Look at further samples."""
        import numpy as np

        assert block.baseline is not None
        if block.own.dtype.kind == "S":
            unlike = (block.own != block.baseline).reshape(len(block.own), -1)
            self._error.add(unlike.mean(axis=1))
            self._same.add(~unlike.any(axis=1))
            return
        mine, other = _flat(block.own), _flat(block.baseline)
        self._error.add(np.linalg.norm(mine - other, axis=1) / np.maximum(np.linalg.norm(other, axis=1), 1e-12))
        self._same.add(mine.argmax(axis=1) == other.argmax(axis=1))

    def merge(self, later: _Found) -> None:
        """Take what another found of later samples."""
        self._error.merge(later._error)
        self._same.merge(later._same)

    def result(self) -> Scores:
        """Return the distance as a part of the answer's length, and how often the same number is the largest.

        Of texts, how many are others, and how often all are the same.
        """
        from modelyard.metrics.sampled import mean_of

        error, same = self._error.values, self._same.values
        return Scores([Score(mean_of(ERROR, error), error), Score(mean_of(SAME, same), same)])


def _texts(answers: NDArray[Any]) -> NDArray[Any]:
    return answers.astype(bytes) if answers.dtype.kind == "O" else answers


def _flat(answers: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    return np.asarray(answers, np.float64).reshape(len(answers), -1)


def agreement() -> Task:
    """Whatever a model answers: how near a variant's answers are to the baseline's. There need be no labels."""
    return Following()


@hookimpl
def modelyard_register_tasks(register: RegisterTask) -> None:
    """Register the task."""
    register("agreement", agreement, metrics=(ERROR, SAME), tools=("numpy",), deterministic=True)
