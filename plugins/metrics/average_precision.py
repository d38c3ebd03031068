"""Metric `average-precision`: how precise scores are at every recall, which tells more than accuracy where one class is rare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard_plugins.support.losses import LOSSES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import MetricContext
    from modelyard.hookspecs import RegisterMetric


def average_precision(context: MetricContext) -> float:
    """Measure the average precision: the area under the curve of precision over recall, in steps.

    It is the mean over all classes, each against the rest, or over all labels, of those that there are; of two classes it is that
    of the second one.

    Source: scikit-learn's `average_precision_score`, which interpolates nothing.
    """
    from modelyard_plugins.support.scored import scored

    scores, truth = scored(context, "average-precision")
    each = [_precision(column, is_one) for column, is_one in zip(scores.T, truth.T, strict=True) if is_one.any()]
    return sum(each) / len(each) if each else 0.0


def _precision(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    import numpy as np

    order = np.argsort(-scores, kind="stable")
    hits = truth[order].cumsum()
    ends = np.flatnonzero(
        np.append(np.diff(scores[order]) != 0, True)
    )  # those that are scored alike are found together
    precision, found = hits[ends] / (ends + 1), np.diff(hits[ends], prepend=0)
    return float((precision * found).sum() / truth.sum())


@hookimpl
def modelyard_register_metrics(register: RegisterMetric) -> None:
    """Register the metric `average-precision`."""
    register(
        "average-precision",
        average_precision,
        better="higher",
        unit="fraction",
        title="AP",
        losses=LOSSES,
        tools=("numpy",),
    )
