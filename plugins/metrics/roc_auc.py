"""Metric `roc-auc`: how often a sample that is one is scored higher than one that is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard_plugins.support.losses import LOSSES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import MetricContext
    from modelyard.hookspecs import RegisterMetric

_Z = 1.96


def roc_auc(context: MetricContext) -> tuple[float, float | None, float | None]:
    """Measure the area under the receiver operating characteristic: whatever the threshold, how well scores tell right from wrong.

    It is the mean over all classes, each against the rest, or over all labels, of those that have both; of two classes, or of one
    label, it is a single area, with its 95 % interval.

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988); by ranks as Sun and Xu, IEEE Signal Processing Letters 21 (2014).
    """
    from modelyard_plugins.support.scored import scored

    scores, truth = scored(context, "roc-auc")
    areas = [
        _area(column, is_one)
        for column, is_one in zip(scores.T, truth.T, strict=True)
        if 0 < is_one.sum() < len(is_one)
    ]
    if not areas:
        return 0.0, None, None
    mean = sum(area for area, _ in areas) / len(areas)
    if len(areas) > 1:
        return mean, None, None
    half = _Z * areas[0][1]
    return mean, max(0.0, mean - half), min(1.0, mean + half)


def _area(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the area and its standard error; two that are scored alike count half."""
    import numpy as np

    ones, others = scores[truth], scores[~truth]
    every = _ranks(scores)
    above = (every[truth] - _ranks(ones)) / len(others)  # of each that is one, the part of the others below it
    below = 1 - (every[~truth] - _ranks(others)) / len(ones)
    spread = sum(float(np.var(part, ddof=1)) / len(part) for part in (above, below) if len(part) > 1)
    return float(above.mean()), spread**0.5


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of each value from 1; those that are equal share the mean of theirs."""
    import numpy as np

    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (counts.cumsum() - (counts - 1) / 2)[places]
    return ranks


@hookimpl
def modelyard_register_metrics(register: RegisterMetric) -> None:
    """Register the metric `roc-auc`."""
    register("roc-auc", roc_auc, better="higher", unit="fraction", title="ROC AUC", losses=LOSSES, tools=("numpy",))
