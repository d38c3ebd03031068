"""The task `classification`: each sample is of one of several classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.metrics import Quantity
from modelyard.task import Agreement, Answers, Score, Scores, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Splits
    from modelyard.hookspecs import RegisterTask
    from modelyard.tensors import OutputFacts

ACCURACY = Quantity(
    name="accuracy", better="higher", unit="fraction", worse="less accurate", group="class", sampled=True, detail=0
)
_SUM_TOLERANCE = 1e-3
_LEVELS = (256, 255)
"""What the probabilities of a quantized model are rounded to, parts of 1: in LiteRT's files, and in those of ONNX."""


class Classification(Task):
    """Which of several classes a sample is of. Labels are whole numbers from 0; a model answers a probability a class."""

    says = "labels"
    number = "a probability"

    def check(self, splits: Splits) -> OutputFacts:
        """Return the answer: a probability for each class, in the order of their names, which may be the labels themselves."""
        from modelyard.tensors import OutputFacts
        from modelyard_plugins.support.data.labels import check_class_names, check_labels, names_of

        names = check_class_names(splits.names or names_of("train_y", splits.labels("train")))
        for name in ("train_y", "test_y"):
            check_labels(name, getattr(splits, name), len(names))
        return OutputFacts(name="probabilities", shape=(len(names),), activation="softmax", labels=names)

    def stored(self, labels: NDArray[Any]) -> NDArray[np.int64]:
        """Return labels as int64, shape `(samples,)`."""
        import numpy as np

        return labels.astype(np.int64)

    def counts(self, labels: NDArray[Any], output: OutputFacts) -> tuple[int, ...]:
        """Return how many samples are of each class."""
        import numpy as np

        return tuple(int(count) for count in np.bincount(labels.astype(np.int64), minlength=len(output.labels)))

    def check_answers(self, answers: NDArray[Any], first: int) -> None:
        """Check that each answer is a distribution."""
        import numpy as np

        from modelyard.errors import PluginError

        sums = answers.astype(np.float64).sum(axis=1)
        good = np.isfinite(sums) & (abs(sums - 1) <= _tolerance(answers)) & (answers >= 0).all(axis=1)
        if not good.all():
            row = int(np.argmax(~good))
            msg = (
                f"the runtime's answer to test sample {first + row} is no distribution: {answers[row].tolist()}\n"
                "  predict must return probabilities"
            )
            raise PluginError(msg)

    def accumulator(self, output: OutputFacts) -> _Found:
        """Return what measures the accuracy, of each class, too; and what is taken for what."""
        return _Found(output.labels)

    def agreement(self, own: NDArray[Any], other: NDArray[Any]) -> Agreement:
        """Return how many samples are labelled differently, and the largest difference of a probability."""
        import numpy as np

        differ = np.count_nonzero(own.argmax(axis=1) != other.argmax(axis=1))
        return Agreement(int(differ), float(np.abs(own - other).max(initial=0.0)))


def _tolerance(answers: NDArray[Any]) -> NDArray[np.float64]:
    """Return how far from 1 each sum of `answers`, shape `(samples, classes)`, may be: more where each is rounded to 8 bits."""
    import numpy as np

    steps = [answers.astype(np.float64) * levels for levels in _LEVELS]
    rounded = np.any([np.all(abs(one - np.rint(one)) < _SUM_TOLERANCE, axis=1) for one in steps], axis=0)
    return np.where(rounded, _SUM_TOLERANCE + answers.shape[1] / (2 * min(_LEVELS)), _SUM_TOLERANCE)


class _Found:
    """Which samples are right, and what is taken for what, see `modelyard.task.Accumulator`."""

    def __init__(self, names: tuple[str, ...]) -> None:
        import numpy as np

        from modelyard_plugins.support.per_sample import PerSample

        self._names, self._right = names, PerSample()
        self._confusion = np.zeros((len(names), len(names)), np.int64)

    def update(self, block: Answers) -> None:
        """Look at further samples."""
        import numpy as np

        assert block.labels is not None
        given, classes = block.own.argmax(axis=1), len(self._names)
        self._right.add(given == block.labels)
        pairs = np.bincount(block.labels * classes + given, minlength=classes * classes)
        self._confusion += pairs.reshape(classes, classes)

    def merge(self, later: _Found) -> None:
        """Take what another found of later samples."""
        self._right.merge(later._right)
        self._confusion += later._confusion

    def result(self) -> Scores:
        """Return the accuracy, and the confusion matrix in the details."""
        from modelyard.metrics.sampled import mean_of

        right, names = self._right.values, self._names
        pairs = zip(self._confusion.diagonal(), self._confusion.sum(axis=1), strict=True)
        per_class = [float(hits / there_are) if there_are else None for hits, there_are in pairs]
        accuracy = mean_of(ACCURACY, right, dict(zip(names, per_class, strict=True)))
        details = {
            "class_names": list(names),
            "accuracy": accuracy.value,
            "per_class": per_class,
            "confusion": self._confusion.tolist(),
        }
        return Scores([Score(accuracy, right)], details)


def classification() -> Task:
    """One of several classes for each sample: accuracy, in all and of each class."""
    return Classification()


@hookimpl
def modelyard_register_tasks(register: RegisterTask) -> None:
    """Register the task."""
    register(
        "classification",
        classification,
        metrics=(ACCURACY,),
        loss="cross-entropy",
        tools=("numpy",),
        deterministic=True,
    )
