"""The task `embedding`: a vector for each sample, near to those of samples that are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.metrics import Quantity
from modelyard.params import PositiveInt
from modelyard.task import Agreement, Answers, Score, Scores, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Splits
    from modelyard.hookspecs import RegisterTask
    from modelyard.tensors import OutputFacts

COSINE = Quantity(
    name="cosine", better="higher", title="cosine to the baseline", worse="farther off", sampled=True, detail=0
)
NEIGHBOURS = Quantity(
    name="same_neighbours", better="higher", unit="fraction", title="same neighbours", worse="farther off", sampled=True
)
_ROWS = 1024
"""Samples that are looked at together."""


class Embedding(Task):
    """A vector for each sample. There need be no labels: a variant is measured by how near it is to the baseline."""

    says = "vectors"
    looks_at_baseline = True

    def __init__(self, neighbours: int) -> None:
        self.neighbours = neighbours

    def check(self, splits: Splits) -> OutputFacts:  # noqa: ARG002 - whatever the samples are
        """Return the answer: a vector, as long as the model says."""
        from modelyard.tensors import OutputFacts

        return OutputFacts(name="embedding", shape=("width",))

    def measure(self, answers: Answers) -> Scores:
        """Measure the cosine to the baseline's vectors, and how many of the nearest samples are the same ones.

        Neighbours are among all samples, so no part of a split has figures that could be merged. Each block of samples is
        held against each other block: exact, in memory for two blocks, and in time that grows with the square of the samples.
        """
        from modelyard.metrics.sampled import mean_of
        from modelyard_plugins.support.neighbours import shared_neighbours

        assert answers.baseline is not None
        cosine = _cosines(answers)
        same = shared_neighbours(answers.own, answers.baseline, min(self.neighbours, len(answers.own) - 1))
        return Scores([Score(mean_of(COSINE, cosine), cosine), Score(mean_of(NEIGHBOURS, same), same)])

    def agreement(self, own: NDArray[Any], other: NDArray[Any]) -> Agreement:
        """Return how many vectors point elsewhere, and the largest difference of a number."""
        from modelyard_plugins.support.neighbours import turned

        return Agreement(turned(own, other), super().agreement(own, other).worst)


def _cosines(answers: Answers) -> NDArray[np.float64]:
    """Return the cosine of each vector to the baseline's, shape `(samples,)`; 0 where that has another length."""
    import numpy as np

    from modelyard_plugins.support.neighbours import units

    assert answers.baseline is not None
    if answers.own.shape != answers.baseline.shape:
        return np.zeros(len(answers.own))
    found: list[NDArray[np.float64]] = []
    for part in answers.parts(_ROWS):
        assert part.baseline is not None
        found.append(np.einsum("nd,nd->n", units(part.own), units(part.baseline), dtype=np.float64))
    return np.concatenate(found)


def embedding(*, neighbours: PositiveInt = 10) -> Task:
    """A vector for each sample: how near a variant's are to the baseline's, and whether the nearest samples stay the same.

    Args:
        neighbours: how many of the nearest samples are looked at.
    """
    return Embedding(neighbours)


@hookimpl
def modelyard_register_tasks(register: RegisterTask) -> None:
    """Register the task."""
    register("embedding", embedding, metrics=(COSINE, NEIGHBOURS), tools=("numpy",), deterministic=True)
