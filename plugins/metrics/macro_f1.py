"""Metric `macro-f1`: F1 of each class, and their mean, in which a rare class counts as much as a frequent one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard import hookimpl

if TYPE_CHECKING:
    from modelyard.contexts import MetricContext
    from modelyard.hookspecs import RegisterMetric
    from modelyard.tensors import Loss


def macro_f1(context: MetricContext) -> float:
    """Measure the mean over all classes of the harmonic mean of precision and recall; of those that are there, or said."""
    import numpy as np

    from modelyard.errors import DataError

    answers, labels = context.answers, np.asarray(context.dataset.y("test"))
    if labels.shape != answers.shape[:-1] or labels.dtype.kind not in "iu":
        msg = f"the metric 'macro-f1' wants classes; labels are {labels.dtype}, shape {labels.shape}\n  leave [tool.modelyard.metrics.macro-f1] out"
        raise DataError(msg)
    classes = answers.shape[-1]
    counted = (labels >= 0) & (labels < classes)
    there, said = labels[counted], np.argmax(answers, axis=-1)[counted]
    hits, true, given = (np.bincount(one, minlength=classes) for one in (there[there == said], there, said))
    known = true + given > 0
    return float((2 * hits[known] / (true + given)[known]).mean()) if known.any() else 0.0


@hookimpl
def modelyard_register_metrics(register: RegisterMetric) -> None:
    """Register the metric `macro-f1`."""
    losses: tuple[Loss, ...] = ("cross-entropy",)
    register("macro-f1", macro_f1, better="higher", unit="fraction", title="macro F1", losses=losses, tools=("numpy",))
