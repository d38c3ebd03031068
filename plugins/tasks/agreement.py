"""The task `agreement`: whatever a model answers, a variant shall answer the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.metrics import Quantity
from modelyard.task import Answers, Score, Scores, Task

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

    def check(self, splits: Splits) -> OutputFacts:  # noqa: ARG002 - whatever the samples are
        """Return the answer: a tensor of the shape that the model says."""
        from modelyard.tensors import ANY_SHAPE, OutputFacts

        return OutputFacts(name="output", shape=ANY_SHAPE)

    def measure(self, answers: Answers) -> Scores:
        """Measure the distance to the baseline's answer as a part of its length, and whether the same number is the largest."""
        import numpy as np

        from modelyard.metrics.sampled import mean_of

        assert answers.baseline is not None
        error, same = np.empty(len(answers.own)), np.empty(len(answers.own), bool)
        for rows, own, _ in answers.blocks(256):
            mine, other = _flat(own), _flat(answers.baseline[rows])
            error[rows] = np.linalg.norm(mine - other, axis=1) / np.maximum(np.linalg.norm(other, axis=1), 1e-12)
            same[rows] = mine.argmax(axis=1) == other.argmax(axis=1)
        return Scores([Score(mean_of(ERROR, error), error), Score(mean_of(SAME, same), same)])


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
