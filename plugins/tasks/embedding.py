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
_TURNED = 0.999
"""Below this cosine two vectors are not the same but for rounding."""


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
        """Measure the cosine to the baseline's vectors, and how many of the nearest samples are the same ones."""
        import numpy as np

        from modelyard.metrics.sampled import mean_of

        assert answers.baseline is not None
        own, other = _units(answers.own), _units(answers.baseline)
        cosine = np.einsum("nd,nd->n", own, other, dtype=np.float64) if own.shape == other.shape else np.zeros(len(own))
        same = _same_neighbours(own, other, min(self.neighbours, len(own) - 1))
        return Scores([Score(mean_of(COSINE, cosine), cosine), Score(mean_of(NEIGHBOURS, same), same)])

    def agreement(self, own: NDArray[Any], other: NDArray[Any]) -> Agreement:
        """Return how many vectors point elsewhere, and the largest difference of a number."""
        import numpy as np

        cosine = np.einsum("nd,nd->n", _units(own), _units(other), dtype=np.float64)
        return Agreement(int((cosine < _TURNED).sum()), super().agreement(own, other).worst)


def _units(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Return vectors of length 1, float32, shape `(samples, width)`; further axes are joined."""
    import numpy as np

    flat = np.asarray(vectors, np.float32).reshape(len(vectors), -1)
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    units: NDArray[np.float32] = flat / np.maximum(lengths, np.finfo(np.float32).tiny)
    return units


def _same_neighbours(own: NDArray[Any], other: NDArray[Any], count: int) -> NDArray[np.float64]:
    """Return for each sample the part of its `count` nearest ones that both have, shape `(samples,)`; 1 if there are none."""
    import numpy as np

    found = np.ones(len(own))
    for start in range(0, len(own) if count > 0 else 0, 512):
        rows = np.arange(start, min(start + 512, len(own)))
        near = [_nearest(vectors, rows, count) for vectors in (own, other)]
        found[rows] = [len({*map(int, a)} & {*map(int, b)}) / count for a, b in zip(*near, strict=True)]
    return found


def _nearest(vectors: NDArray[Any], rows: NDArray[Any], count: int) -> NDArray[Any]:
    import numpy as np

    alike = vectors[rows] @ vectors.T
    alike[np.arange(len(rows)), rows] = -np.inf  # a sample is not its own neighbour
    return np.argsort(-alike, axis=1, kind="stable")[:, :count]


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
