"""The task `multi-label`: any number of several labels may be true of a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.metrics import Quantity
from modelyard.params import Fraction
from modelyard.task import Agreement, Answers, Score, Scores, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Splits
    from modelyard.hookspecs import RegisterTask
    from modelyard.tensors import OutputFacts

F1 = Quantity(name="f1", better="higher", unit="fraction", title="F1", worse="less exact", group="label", detail=0)
PRECISION = Quantity(name="precision", better="higher", unit="fraction", worse="less precise", group="label")
RECALL = Quantity(name="recall", better="higher", unit="fraction", worse="finds fewer", group="label")
EXACT = Quantity(name="exact_match", better="higher", unit="fraction", worse="less exact", sampled=True)


class MultiLabel(Task):
    """Which of several labels are true of a sample. Labels are 0 or 1, shape `(samples, labels)`; a model answers a probability each."""

    says = "label sets"
    number = "a probability"

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def check(self, splits: Splits) -> OutputFacts:
        """Return the answer: a probability for each label, which need not add up to 1."""
        from modelyard.errors import DataError
        from modelyard.tensors import OutputFacts
        from modelyard_plugins.support.data.labels import check_names

        labels = splits.labels("train")
        columns = labels.shape[1] if labels is not None and labels.ndim == 2 else 0
        names = check_names("class_names", splits.names or [str(n) for n in range(columns)], "label", least=0)
        for name in ("train_y", "test_y"):
            _check(name, getattr(splits, name), len(names))
        assert labels is not None
        never = [names[column] for column, many in enumerate(labels.astype(bool).sum(axis=0)) if not many]
        if never:
            msg = f"train_y: no sample has the label {never[0]!r}\n  add samples that have it, or leave the label out"
            raise DataError(msg)
        return OutputFacts(name="probabilities", shape=(len(names),), activation="sigmoid", labels=names)

    def stored(self, labels: NDArray[Any]) -> NDArray[np.uint8]:
        """Return labels as uint8, shape `(samples, labels)`."""
        import numpy as np

        return labels.astype(np.uint8)

    def counts(self, labels: NDArray[Any], output: OutputFacts) -> tuple[int, ...]:  # noqa: ARG002 - as many as columns
        """Return how many samples have each label."""
        return tuple(int(count) for count in labels.astype(bool).sum(axis=0))

    def check_answers(self, answers: NDArray[Any], first: int) -> None:
        """Check that each number is a probability."""
        from modelyard.errors import PluginError

        good = ((answers >= 0) & (answers <= 1)).all(axis=1)
        if not good.all():
            row = int(good.argmin())
            msg = (
                f"the runtime's answer to test sample {first + row} holds what is no probability: {answers[row].tolist()}\n"
                "  predict must return numbers from 0 to 1"
            )
            raise PluginError(msg)

    def accumulator(self, output: OutputFacts) -> _Found:
        """Return what measures F1, precision and recall of each label and their means, and how often all labels are right."""
        return _Found(output.labels, self.threshold)

    def agreement(self, own: NDArray[Any], other: NDArray[Any]) -> Agreement:
        """Return how many samples are given other labels, and the largest difference of a probability."""
        import numpy as np

        differ = ((own >= self.threshold) != (other >= self.threshold)).any(axis=1)
        return Agreement(int(differ.sum()), float(np.abs(own - other).max(initial=0.0)))


class _Found:
    """How often each label is said and is right, see `modelyard.task.Accumulator`."""

    def __init__(self, names: tuple[str, ...], threshold: float) -> None:
        import numpy as np

        from modelyard_plugins.support.per_sample import PerSample

        self._names, self._threshold, self._exact = names, threshold, PerSample()
        self._counts = np.zeros((3, len(names)), np.int64)  # said rightly, said, there

    def update(self, block: Answers) -> None:
        """Look at further samples."""
        import numpy as np

        assert block.labels is not None
        said, there = block.own >= self._threshold, block.labels.astype(bool)
        self._counts += np.stack([each.sum(axis=0) for each in (said & there, said, there)])
        self._exact.add((said == there).all(axis=1))

    def merge(self, later: _Found) -> None:
        """Take what another found of later samples."""
        self._counts += later._counts
        self._exact.merge(later._exact)

    def result(self) -> Scores:
        """Return the rates of each label and their means, and the part of the samples all of whose labels are right."""
        from modelyard.metrics.sampled import mean_of

        hits, given, true = self._counts
        rates = [(F1, 2 * hits, given + true), (PRECISION, hits, given), (RECALL, hits, true)]
        found = [Score(_of_labels(quantity, over, under, self._names)) for quantity, over, under in rates]
        exact = self._exact.values
        return Scores([*found, Score(mean_of(EXACT, exact), exact)], {"class_names": list(self._names)})


def _of_labels(quantity: Quantity, over: Any, under: Any, names: tuple[str, ...]) -> Any:
    """Return a rate of each label, and the mean of those that there are; 0 where there is none at all."""
    each = [float(a / b) if b else None for a, b in zip(over, under, strict=True)]
    known = [rate for rate in each if rate is not None]
    return quantity.of(sum(known) / len(known) if known else 0.0, None, dict(zip(names, each, strict=True)))


def _check(name: str, labels: NDArray[Any] | None, count: int) -> None:
    from modelyard.errors import DataError

    fits = labels is not None and labels.ndim == 2 and labels.shape[1] == count and labels.dtype.kind in "biuf"
    if not fits:
        given = "there is none" if labels is None else f"labels are {labels.dtype}, shape {labels.shape}"
        wanted = f"for each of {count} names: shape (samples, {count})" if count else "each: shape (samples, labels)"
        msg = f"{name}: {given}\n  several labels for a sample are 0 or 1 {wanted}"
        raise DataError(msg)
    assert labels is not None
    wrong = ~((labels == 0) | (labels == 1)).all(axis=1)
    if wrong.any():
        row = int(wrong.argmax())
        msg = f"{name}: the labels of sample {row} are {labels[row].tolist()!r}\n  allowed: 0 and 1"
        raise DataError(msg)


def multi_label(*, threshold: Fraction = 0.5) -> Task:
    """Any number of several labels for each sample: F1, precision and recall, and how often all are right.

    Args:
        threshold: from which probability on a label counts as said.
    """
    return MultiLabel(threshold)


@hookimpl
def modelyard_register_tasks(register: RegisterTask) -> None:
    """Register the task."""
    metrics = (F1, PRECISION, RECALL, EXACT)
    register(
        "multi-label", multi_label, metrics=metrics, loss="binary-cross-entropy", tools=("numpy",), deterministic=True
    )
