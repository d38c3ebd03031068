"""The metrics of plugins: called with what a variant answers, and put beside those of every evaluation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.artifacts import Dataset, Model
from modelyard.contexts import MetricContext
from modelyard.errors import PluginError
from modelyard.files.json import write_json
from modelyard.files.npy import open_array
from modelyard.metrics.registered import quantity_of
from modelyard.variants.evaluation import read_measured, save_per_sample
from modelyard.metrics.intervals import mean_interval, wilson_interval

if TYPE_CHECKING:
    from pathlib import Path

    from modelyard.component import Component
    from modelyard.execution.job import Job
    from modelyard.metrics import Metric, Quantity

_PREFIX = "metric:"


def add_own_metrics(job: Job, model: Model, dataset: Dataset, side_by_side: int) -> dict[str, float]:
    """Measure what the metrics of plugins measure, add it to the files of the evaluation, and return the values by name.

    Args:
        job: the stage.
        model: the model on disk.
        dataset: the data set.
        side_by_side: how many models that predict at once keep every processor busy.

    Raises:
        PluginError: a metric returns something else than a number, one with its interval, or one for each test sample.
    """
    uses = {role.removeprefix(_PREFIX): use for role, use in job.stage.uses.items() if role.startswith(_PREFIX)}
    if not uses:
        return {}
    out = job.base.out
    context = job.context(
        MetricContext,
        model=model,
        dataset=dataset,
        answers=open_array(out / "probabilities.npy"),
        open_model=lambda: job.call("runtime", model.folder),
        side_by_side=side_by_side,
    )
    found = [
        _measured(name, use.component, use.component.function(context, **use.params), out) for name, use in uses.items()
    ]
    _write(out, found)
    return {metric.name: metric.value for metric in found}


def _write(out: Path, found: list[Metric]) -> None:
    """Put what is the same every time into `evaluation.json`, and the rest into `latency.json`."""
    measured = read_measured(out)
    for name, one, is_steady in (("evaluation", measured.evaluation, True), ("latency", measured.latency, False)):
        more = tuple(metric for metric in found if metric.steady is is_steady)
        write_json(out / f"{name}.json", msgspec.structs.replace(one, metrics=(*one.metrics, *more)))


def _measured(name: str, component: Component, result: Any, out: Path) -> Metric:
    """Return what a metric's function returned as a row; values of single samples are kept, to compare variants in pairs."""
    import numpy as np

    quantity = quantity_of(name, component)
    if isinstance(result, np.ndarray):
        samples = len(open_array(out / "probabilities.npy"))
        if result.shape != (samples,) or result.dtype.kind not in "bif" or not np.isfinite(result).all():
            raise _refused(name, component, f"an array of {result.dtype}, shape {result.shape}, for {samples} samples")
        save_per_sample(out, quantity.name, result)
        return _of_samples(quantity, result)
    numbers = result if isinstance(result, tuple) and len(result) == 3 else (result,)
    if not all(isinstance(one, int | float | np.number) and math.isfinite(one) for one in numbers):
        raise _refused(name, component, f"{result!r:.80}")
    value, *interval = map(float, numbers)
    return quantity.of(value, (interval[0], interval[1]) if interval else None)


def _of_samples(quantity: Quantity, values: Any) -> Metric:
    mean, samples = float(values.mean()), len(values)
    if values.dtype == bool:
        interval: Any = wilson_interval(int(values.sum()), samples)
    else:
        interval = mean_interval(mean, float(values.std(ddof=1)) if samples > 1 else 0.0, samples)
    return msgspec.structs.replace(quantity.of(mean, interval), sampled=True)


def _refused(name: str, component: Component, what: str) -> PluginError:
    return PluginError(
        f"the metric {name!r} ({component.file}) returned {what}\n"
        "  it returns a finite number, (value, low, high), or an array with a number for each test sample"
    )
