"""The task `regression`: one or more numbers for each sample, or for each place in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.metrics import Quantity
from modelyard.task import Answers, Score, Scores, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Splits
    from modelyard.hookspecs import RegisterTask
    from modelyard.tensors import OutputFacts

MAE = Quantity(name="mae", better="lower", title="MAE", worse="less exact", group="quantity", sampled=True, detail=0)
RMSE = Quantity(name="rmse", better="lower", title="RMSE", worse="less exact", sampled=True)
R2 = Quantity(name="r2", better="higher", title="R2", worse="less exact", sampled=True)


class Regression(Task):
    """Numbers for each sample. Labels are numbers, shape `(samples,)`, `(samples, quantities)` or `(samples, ..., quantities)`.

    A model answers as many, in the same shape; a sample of one number has the shape `(1,)`.
    """

    says = "predictions"

    def check(self, splits: Splits) -> OutputFacts:
        """Return the answer: as many numbers as a label has, with the names that the data set gives them."""
        from modelyard.errors import DataError
        from modelyard.tensors import OutputFacts
        from modelyard_plugins.support.data.labels import check_names
        from modelyard_plugins.support.data.quantities import same_shape

        shape = same_shape(splits)
        names = check_names("class_names", splits.names, "number of a label", least=0)
        if names and len(names) != shape[-1]:
            msg = f"class_names: {len(names)} names for {shape[-1]} numbers a sample\n  name each number along the last axis, or none"
            raise DataError(msg)
        return OutputFacts(name="prediction", shape=shape, labels=names)

    def stored(self, labels: NDArray[Any]) -> NDArray[np.float32]:
        """Return labels as float32, shape `(samples, ..., quantities)`."""
        import numpy as np

        return (labels[:, None] if labels.ndim == 1 else labels).astype(np.float32)

    def accumulator(self, output: OutputFacts) -> _Errors:
        """Return what measures the mean absolute error, the root of the mean square, and the part that is explained."""
        return _Errors(output.labels)


class _Errors:
    """How far off the answers are, and how far apart the labels, see `modelyard.task.Accumulator`."""

    def __init__(self, names: tuple[str, ...]) -> None:
        from modelyard_plugins.support.per_sample import PerSample
        from modelyard_plugins.support.spread import Spread

        self._names, self._error, self._square, self._labels = names, PerSample(), PerSample(), Spread()
        self._each: Any = 0.0  # the mean absolute error of each quantity, added up over the samples

    def update(self, block: Answers) -> None:
        """Look at further samples."""
        import numpy as np

        labels = np.asarray(block.labels, np.float64)
        apart = np.abs(np.asarray(block.own, np.float64) - labels)
        each = apart.reshape(len(apart), -1, apart.shape[-1]).mean(axis=1)
        self._error.add(each.mean(axis=1))
        self._square.add((apart**2).reshape(len(apart), -1).mean(axis=1))
        self._each = self._each + each.sum(axis=0)
        self._labels.add(labels)

    def merge(self, later: _Errors) -> None:
        """Take what another found of later samples."""
        self._error.merge(later._error)
        self._square.merge(later._square)
        self._each = self._each + later._each
        self._labels.merge(later._labels)

    def result(self) -> Scores:
        """Return the mean absolute error, also of each quantity; the root of the mean square; and the part that is explained."""
        from modelyard.metrics.intervals import mean_interval
        from modelyard.metrics.sampled import mean_of

        error, square = self._error.values, self._square.values
        mean, samples = float(square.mean()), len(square)
        each = dict(zip(self._names, map(float, self._each / samples), strict=True)) if len(self._names) > 1 else {}
        low, high = mean_interval(mean, float(square.std(ddof=1)) if samples > 1 else 0.0, samples)
        ends = None if low is None or high is None else (max(0.0, low) ** 0.5, high**0.5)
        rmse = RMSE.of(mean**0.5, ends or (None, None))
        whole = float(self._labels.variance.mean())
        explained = [None if end is None else 1 - end / whole for end in (high, low)] if whole else [None, None]
        r2 = R2.of(1 - mean / whole if whole else float(not square.any()), (explained[0], explained[1]))
        return Scores([Score(mean_of(MAE, error, each), error), Score(rmse), Score(r2)])


def regression() -> Task:
    """One or more numbers for each sample, or for each place in it: mean absolute error, root of the mean square, and R2."""
    return Regression()


@hookimpl
def modelyard_register_tasks(register: RegisterTask) -> None:
    """Register the task."""
    register(
        "regression", regression, metrics=(MAE, RMSE, R2), loss="squared-error", tools=("numpy",), deterministic=True
    )
