"""The metrics of plugins: called with what a variant answers, and put beside those of every evaluation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeGuard

import msgspec

from modelyard.artifacts import Dataset, Model
from modelyard.contexts import MetricContext
from modelyard.errors import PluginError
from modelyard.files.json import write_json
from modelyard.files.npy import open_array
from modelyard.metrics.registered import quantity_of
from modelyard.metrics.sampled import mean_of
from modelyard.stages.handlers import Around
from modelyard.task import Answers
from modelyard.variants.evaluation import ANSWERS, read_measured, save_per_sample, write_evaluation

if TYPE_CHECKING:
    from pathlib import Path

    from modelyard.component import Component
    from modelyard.execution.job import Job
    from modelyard.metrics import Metric
    from modelyard.task import MetricAccumulator

METRIC_ROLE = "metric:"
_BLOCK = 1024
"""How many samples an accumulator looks at at a time, at most."""


def add_own_metrics(job: Job, model: Model, dataset: Dataset, side_by_side: int) -> dict[str, float]:
    """Measure what the metrics of plugins measure, add it to the files of the evaluation, and return the values by name.

    Args:
        job: the stage.
        model: the model on disk.
        dataset: the data set.
        side_by_side: how many models that predict at once keep every processor busy.

    Raises:
        PluginError: a metric returns something else than a number, one with its interval, one for each test sample, or an
            accumulator that finds such.
    """
    uses = {role.removeprefix(METRIC_ROLE): use for role, use in job.stage.uses.items() if role.startswith(METRIC_ROLE)}
    if not uses:
        return {}
    out = job.base.out
    context = job.context(
        MetricContext,
        model=model,
        dataset=dataset,
        answers=open_array(out / ANSWERS),
        open_model=lambda: job.call("runtime", model.folder),
        runtime=job.stage.uses["runtime"],
        side_by_side=side_by_side,
    )
    labels = dataset.y("test") if dataset.has_labels else None
    answers = Answers(context.answers, labels, Around(job.stage.uses, dataset.facts).answer(model.facts))
    found = [
        _measured(name, use.component, result_of(use.component.function(context, **use.params), answers), out)
        for name, use in uses.items()
    ]
    _write(out, found)
    return {metric.name: metric.value for metric in found}


def result_of(returned: Any, answers: Answers) -> Any:
    """Return what a metric measured: what its function returned, or what the accumulator that it returned finds in `answers`."""
    if not is_accumulator(returned):
        return returned
    for block in answers.parts(_BLOCK):
        returned.update(block)
    return returned.result()


def is_accumulator(returned: Any) -> TypeGuard[MetricAccumulator]:
    """Tell whether a metric's function returned an accumulator."""
    return all(callable(getattr(returned, name, None)) for name in ("update", "merge", "result"))


def _write(out: Path, found: list[Metric]) -> None:
    """Put what is the same every time into `evaluation.json`, and the rest into `latency.json`."""
    measured = read_measured(out)
    one, other = measured.evaluation, measured.latency
    steady = (*one.metrics, *(metric for metric in found if metric.steady))
    write_evaluation(out, msgspec.structs.replace(one, metrics=steady))
    write_json(
        out / "latency.json",
        msgspec.structs.replace(other, metrics=(*other.metrics, *(metric for metric in found if not metric.steady))),
    )


def _measured(name: str, component: Component, result: Any, out: Path) -> Metric:
    """Return what a metric's function returned as a row; values of single samples are kept, to compare variants in pairs."""
    import numpy as np

    quantity = quantity_of(name, component)
    if isinstance(result, np.ndarray):
        samples = len(open_array(out / ANSWERS))
        if result.shape != (samples,) or result.dtype.kind not in "bif" or not np.isfinite(result).all():
            raise _refused(name, component, f"an array of {result.dtype}, shape {result.shape}, for {samples} samples")
        save_per_sample(out, quantity.name, result)
        return mean_of(quantity, result)
    numbers = result if isinstance(result, tuple) and len(result) == 3 else (result,)
    known = (numbers[0], *(one for one in numbers[1:] if one is not None))
    if not all(isinstance(one, int | float | np.number) and math.isfinite(one) for one in known):
        raise _refused(name, component, f"{result!r:.80}")
    interval = [None if end is None else float(end) for end in numbers[1:]]
    return quantity.of(float(numbers[0]), (interval[0], interval[1]) if interval else None)


def _refused(name: str, component: Component, what: str) -> PluginError:
    return PluginError(
        f"the metric {name!r} ({component.file}) returned {what}\n"
        "  it returns a finite number, (value, low, high), or an array with a number for each test sample, or an accumulator "
        "whose result is one of these; low and high are None where they are not known"
    )
