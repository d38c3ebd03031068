"""The task `quantiles`: how large numbers may be, as quantiles of what they are likely to be."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.contexts import Problem
from modelyard.metrics import Quantity
from modelyard.task import Answers, Score, Scores, Task

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Splits
    from modelyard.contexts import CheckContext
    from modelyard.hookspecs import RegisterTask
    from modelyard.tensors import OutputFacts

PINBALL = Quantity(
    name="pinball", better="lower", title="pinball", worse="less exact", group="quantile", sampled=True, detail=0
)
CALIBRATION = Quantity(name="calibration_error", better="lower", unit="fraction", worse="less honest", group="quantile")
WIDTH = Quantity(name="interval_width", better="lower", worse="wider", sampled=True)


class Quantiles(Task):
    """Numbers of which the model answers quantiles, along an axis behind those of the label.

    Labels have the shape `(samples,)` or `(samples, 1)`, one number a sample, answered as `(levels,)`; or `(samples, ...)`, such as
    the next hours of a series, answered as `(..., levels)`.
    """

    says = "quantiles"

    def __init__(self, levels: Sequence[float]) -> None:
        self.levels = tuple(levels)

    def check(self, splits: Splits) -> OutputFacts:
        """Return the answer: a number for each quantile, called after it."""
        from modelyard.tensors import OutputFacts
        from modelyard_plugins.support.data.quantities import same_shape

        shape = same_shape(splits)
        names = tuple(f"{one:g}" for one in self.levels)
        return OutputFacts(name="quantiles", shape=(*_axes(shape), len(self.levels)), labels=names)

    def stored(self, labels: NDArray[Any]) -> NDArray[np.float32]:
        """Return labels as float32, shape `(samples, ..., 1)`, which a loss holds against each quantile."""
        import numpy as np

        return labels.reshape(len(labels), *_axes(labels.shape[1:]), 1).astype(np.float32)

    def accumulator(self, output: OutputFacts) -> _Losses:  # noqa: ARG002 - the levels say it, too
        """Return what measures the pinball loss, how honest the quantiles are, and how wide the interval between the outer ones."""
        return _Losses(self.levels)


def _axes(label: tuple[int, ...]) -> tuple[int, ...]:
    """Return the axes of a label that an answer has before its quantiles: one number has none."""
    return () if label in ((), (1,)) else label


class _Losses:
    """How much the quantiles lose, and how often a label lies below each, see `modelyard.task.Accumulator`."""

    def __init__(self, levels: tuple[float, ...]) -> None:
        from modelyard_plugins.support.per_sample import PerSample

        self._levels, self._loss, self._width = levels, PerSample(), PerSample()
        # of each quantile, added up over all samples: its loss, and the part of the labels below it
        self._each: Any = 0.0
        self._below: Any = 0.0

    def update(self, block: Answers) -> None:
        """Look at further samples."""
        import numpy as np

        answers = np.asarray(block.own, np.float64)
        over = np.asarray(block.labels, np.float64) - answers
        levels = np.array(self._levels)
        losses, below = (_by_level(one) for one in (np.maximum(levels * over, (levels - 1) * over), over <= 0))
        self._loss.add(losses.mean(axis=1))
        self._width.add(_by_level(answers[..., -1:] - answers[..., :1])[:, 0])
        self._each = self._each + losses.sum(axis=0)
        self._below = self._below + below.sum(axis=0)

    def merge(self, later: _Losses) -> None:
        """Take what another found of later samples."""
        self._loss.merge(later._loss)
        self._width.merge(later._width)
        self._each, self._below = self._each + later._each, self._below + later._below

    def result(self) -> Scores:
        """Return the mean of the losses, also of each quantile; how far the quantiles are off what they say; and the mean width.

        Source: Koenker and Bassett, "Regression Quantiles", Econometrica 46 (1978).
        """
        from modelyard.metrics.sampled import mean_of

        loss, width, samples = self._loss.values, self._width.values, len(self._loss.values)
        names = [f"{one:g}" for one in self._levels]
        losses = dict(zip(names, map(float, self._each / samples), strict=True)) if len(names) > 1 else {}
        off = [abs(float(below) / samples - level) for below, level in zip(self._below, self._levels, strict=True)]
        groups = dict(zip(names, off, strict=True)) if len(names) > 1 else {}
        calibration = CALIBRATION.of(sum(off) / len(off), None, groups)
        return Scores(
            [Score(mean_of(PINBALL, loss, losses), loss), Score(calibration), Score(mean_of(WIDTH, width), width)]
        )


def _by_level(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean over a sample's numbers, shape `(samples, levels)`, of `values`, shape `(samples, ..., levels)`."""
    import numpy as np

    flat = values.reshape(len(values), -1, values.shape[-1])
    means: NDArray[np.float64] = flat.mean(axis=1, dtype=np.float64)
    return means


def quantiles(*, levels: list[float] = [0.1, 0.5, 0.9]) -> Task:  # noqa: B006 - msgspec copies what it takes; nobody changes it
    """Quantiles of one or more numbers for each sample: pinball loss, how honest they are, and how wide the interval between the outer ones.

    Args:
        levels: the quantiles that a model answers, between 0 and 1, from the lowest to the highest.
    """
    return Quantiles(levels)


def problems(_context: CheckContext, *, levels: list[float]) -> Iterator[Problem]:
    """Yield that the levels are none, or in no order."""
    if not levels or not all(0 < one < 1 for one in levels):
        yield Problem("levels", "they are no quantiles", "give numbers between 0 and 1, for instance [0.1, 0.5, 0.9]")
    elif any(one >= other for one, other in pairwise(levels)):
        yield Problem("levels", "they do not rise", "give each once, from the lowest to the highest")


@hookimpl
def modelyard_register_tasks(register: RegisterTask) -> None:
    """Register the task."""
    metrics = (PINBALL, CALIBRATION, WIDTH)
    register("quantiles", quantiles, metrics=metrics, check=problems, tools=("numpy",), deterministic=True)
