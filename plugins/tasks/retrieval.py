"""The task `retrieval`: a vector for each sample, nearest to those of samples with the same label."""

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

FIRST = Quantity(
    name="recall_at_1", better="higher", unit="fraction", title="recall@1", worse="finds fewer", sampled=True, detail=0
)
SOME = Quantity(
    name="recall_at_k", better="higher", unit="fraction", title="recall@k", worse="finds fewer", sampled=True
)
MAP = Quantity(name="map_at_r", better="higher", unit="fraction", title="MAP@R", worse="finds fewer", sampled=True)
_ROWS = 256
"""Samples whose neighbours are looked at together."""


class Retrieval(Task):
    """A vector for each sample; each test sample asks for its nearest ones, which are right if they have its label."""

    says = "vectors"

    def __init__(self, neighbours: int) -> None:
        self.neighbours = neighbours

    def check(self, splits: Splits) -> OutputFacts:
        """Return the answer: a vector, as long as the model says."""
        from modelyard.tensors import OutputFacts
        from modelyard_plugins.support.data.labels import check_identities

        check_identities("train_y", splits.labels("train"))
        check_identities("test_y", splits.labels("test"), least=2)
        return OutputFacts(name="embedding", shape=("width",))

    def stored(self, labels: NDArray[Any]) -> NDArray[np.int64]:
        """Return labels as int64, shape `(samples,)`."""
        import numpy as np

        return labels.astype(np.int64)

    def measure(self, answers: Answers) -> Scores:
        """Measure how often the nearest sample is of the same label, one of the nearest few is, and how high up all of them are.

        Neighbours are among all samples, so no part of a split has figures that could be merged.

        Source: Musgrave, Belongie and Lim, "A Metric Learning Reality Check" (2020), for MAP@R.
        """
        import numpy as np

        from modelyard.metrics.sampled import mean_of
        from modelyard_plugins.support.neighbours import nearest

        labels = np.asarray(answers.labels)
        _, kinds, counts = np.unique(labels, return_inverse=True, return_counts=True)
        others = counts[kinds] - 1
        length = min(len(labels) - 1, max(self.neighbours, int(others.max(initial=1))))
        found = np.empty((3, len(labels)))
        for start in range(0, len(labels), _ROWS):
            rows = slice(start, min(start + _ROWS, len(labels)))
            hits = labels[nearest(answers.own, rows, length)] == labels[rows, None]
            found[:, rows] = hits[:, 0], hits[:, : self.neighbours].any(axis=1), _precision(hits, others[rows])
        quantities = zip((FIRST, SOME, MAP), found, strict=True)
        return Scores([Score(mean_of(quantity, values), values) for quantity, values in quantities])

    def agreement(self, own: NDArray[Any], other: NDArray[Any]) -> Agreement:
        """Return how many vectors point elsewhere, and the largest difference of a number."""
        from modelyard_plugins.support.neighbours import turned

        return Agreement(turned(own, other), super().agreement(own, other).worst)


def _precision(hits: NDArray[np.bool_], others: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean precision at each hit among the first R, shape `(samples,)`, where R is how many `others` there are to find."""
    import numpy as np

    places = np.arange(1, hits.shape[1] + 1)
    counted = hits & (places <= others[:, None])
    precision: NDArray[np.float64] = (counted * (hits.cumsum(axis=1) / places)).sum(axis=1) / others
    return precision


def retrieval(*, neighbours: PositiveInt = 10) -> Task:
    """A vector for each sample: whether the nearest samples have the same label.

    Args:
        neighbours: the k of recall@k: among how many of the nearest one is looked for.
    """
    return Retrieval(neighbours)


@hookimpl
def modelyard_register_tasks(register: RegisterTask) -> None:
    """Register the task."""
    register("retrieval", retrieval, metrics=(FIRST, SOME, MAP), tools=("numpy",), deterministic=True)
