"""The task `regression`: one or more numbers for each sample."""

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
    """Numbers for each sample. Labels are numbers, shape `(samples,)` or `(samples, quantities)`; a model answers as many."""

    says = "predictions"

    def check(self, splits: Splits) -> OutputFacts:
        """Return the answer: as many numbers as a label has, with the names that the data set gives them."""
        from modelyard.errors import DataError
        from modelyard.tensors import OutputFacts
        from modelyard_plugins.support.data.labels import check_names

        widths = [_width(name, getattr(splits, name)) for name in ("train_y", "test_y")]
        names = check_names("class_names", splits.class_names, "number of a label", least=0)
        if widths[0] != widths[1]:
            msg = f"train_y: {widths[0]} numbers a sample, but test_y has {widths[1]}\n  give both the same"
            raise DataError(msg)
        if names and len(names) != widths[0]:
            msg = f"class_names: {len(names)} names for {widths[0]} numbers a sample\n  name each number, or none"
            raise DataError(msg)
        return OutputFacts(name="prediction", shape=(widths[0],), labels=names)

    def stored(self, labels: NDArray[Any]) -> NDArray[np.float32]:
        """Return labels as float32, shape `(samples, quantities)`."""
        import numpy as np

        return labels.reshape(len(labels), -1).astype(np.float32)

    def measure(self, answers: Answers) -> Scores:
        """Measure the mean absolute error, also of each quantity; the root of the mean square; and the part that is explained."""
        import numpy as np

        from modelyard.metrics.intervals import mean_interval
        from modelyard.metrics.sampled import mean_of

        labels = np.asarray(answers.labels, np.float64)
        apart = np.asarray(answers.own, np.float64) - labels
        error, square = np.abs(apart).mean(axis=1), (apart**2).mean(axis=1)
        names = answers.output.labels
        each = dict(zip(names, map(float, np.abs(apart).mean(axis=0)), strict=True)) if len(names) > 1 else {}
        spread = float(square.std(ddof=1)) if len(square) > 1 else 0.0
        low, high = mean_interval(float(square.mean()), spread, len(square))
        ends = None if low is None or high is None else (max(0.0, low) ** 0.5, high**0.5)
        rmse = RMSE.of(float(square.mean()) ** 0.5, ends or (None, None))
        whole = float(((labels - labels.mean(axis=0)) ** 2).mean())
        explained = [None if end is None else 1 - end / whole for end in (high, low)] if whole else [None, None]
        r2 = R2.of(1 - float(square.mean()) / whole if whole else float(not square.any()), (explained[0], explained[1]))
        return Scores([Score(mean_of(MAE, error, each), error), Score(rmse), Score(r2)])


def _width(name: str, labels: NDArray[Any] | None) -> int:
    """Return how many numbers a sample's label has.

    Raises:
        DataError: they are no finite numbers, or of another shape than one or two axes.
    """
    import numpy as np

    from modelyard.errors import DataError

    if labels is None or labels.dtype.kind not in "biuf" or labels.ndim not in (1, 2) or not labels.size:
        given = "there is none" if labels is None else f"labels are {labels.dtype}, shape {labels.shape}"
        msg = f"{name}: {given}\n  a regression needs numbers, shape (samples,) or (samples, quantities)"
        raise DataError(msg)
    finite = np.isfinite(labels.reshape(len(labels), -1).astype(np.float32)).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        msg = f"{name}: the label of sample {row} is {labels[row].tolist()!r}, which is no finite float32\n  mend the data, or leave the sample out"
        raise DataError(msg)
    return 1 if labels.ndim == 1 else labels.shape[1]


def regression() -> Task:
    """One or more numbers for each sample: mean absolute error, root of the mean square, and R2."""
    return Regression()


@hookimpl
def modelyard_register_tasks(register: RegisterTask) -> None:
    """Register the task."""
    register(
        "regression", regression, metrics=(MAE, RMSE, R2), loss="squared-error", tools=("numpy",), deterministic=True
    )
