"""What metrics that look at scores, and not at decisions, have in common. Imports numpy where it computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import MetricContext


def scored(context: MetricContext, metric: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the score of each class or label, and whether it is true, both of the shape `(samples, columns)`.

    Of two classes the second one's score counts; of pixels and tokens each is a sample, but those that do not count.

    Args:
        context: what a variant answered, and the data set.
        metric: the metric's name, for the message.

    Raises:
        DataError: labels are neither classes nor 0 and 1.
    """
    import numpy as np

    answers, labels = context.answers, np.asarray(context.dataset.y("test"))
    scores = np.asarray(answers, np.float64).reshape(-1, answers.shape[-1])
    if labels.shape == answers.shape[:-1] and labels.dtype.kind in "iu" and scores.shape[1] > 1:
        return _of_classes(scores, labels.ravel())
    if labels.size == scores.size and np.isin(labels, (0, 1)).all():
        return scores, labels.reshape(scores.shape).astype(bool)
    msg = (
        f"the metric {metric!r} wants classes, or 0 or 1 for each number that the model answers; labels are {labels.dtype}, "
        f"shape {labels.shape}, beside answers of the shape {answers.shape}\n  leave [tool.modelyard.metrics.{metric}] out"
    )
    raise DataError(msg)


def _of_classes(scores: NDArray[np.float64], labels: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    import numpy as np

    counted = (labels >= 0) & (labels < scores.shape[1])
    truth = labels[counted, None] == np.arange(scores.shape[1])
    first = 1 if scores.shape[1] == 2 else 0  # the score of the other one says nothing more
    return scores[counted, first:], truth[:, first:]
