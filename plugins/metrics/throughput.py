"""Metric `throughput`: samples a second when every processor is busy."""

from __future__ import annotations

import itertools
import math
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard.asking import ask, count, rows_of
from modelyard.files.locks import hold
from modelyard.params import PositiveFloat, PositiveInt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.asking import Samples
    from modelyard.contexts import MetricContext, Predictor
    from modelyard.hookspecs import RegisterMetric

_WINDOWS = 20
"""Into so many parts the time is cut; how much they differ says how sure the figure is."""
_Z = 1.96


def throughput(
    context: MetricContext, *, seconds: PositiveFloat = 2.0, predictors: PositiveInt | None = None
) -> tuple[float, float, float]:
    """Measure how many samples a second the model answers in its runtime when every processor is busy.

    Each predictor is given one sample after the other, as a server gives them to its workers, by a thread of its own. What a
    server adds (HTTP, JSON, waiting in line) is not in it: every variant would have the same.

    Args:
        context: the model and the test split.
        seconds: for how long.
        predictors: how many predict at once; left out, as many as keep all processors busy.
    """
    together = predictors or context.side_by_side
    with hold(context.cache / "latency.lock", "the machine", context.log, verb="is measured by"):
        models = [context.open_model() for _ in range(together)]
        rates = _rates(models, context.dataset.raw("test"), context.model.facts.answer.name, seconds)
    mean = statistics.fmean(rates)
    half = _Z * statistics.stdev(rates) / math.sqrt(len(rates))
    return mean, max(0.0, mean - half), mean + half


def _rates(models: Sequence[Predictor], x: Samples, output: str, seconds: float) -> list[float]:
    """Return the samples a second in each window of time, after one window that warms up."""
    window = seconds / _WINDOWS
    ready = threading.Barrier(len(models))
    with ThreadPoolExecutor(len(models)) as pool:
        finished = list(pool.map(lambda model: _answer(model, x, output, ready, seconds + window), models))
    counts = [0] * (_WINDOWS + 1)
    for moment in itertools.chain.from_iterable(finished):
        counts[min(int(moment / window), _WINDOWS)] += 1
    return [count / window for count in counts[1:]]


def _answer(model: Predictor, x: Samples, output: str, ready: threading.Barrier, seconds: float) -> list[float]:
    """Return when each answer was there, in seconds from the beginning."""
    ask(model, rows_of(x, slice(1)), output)
    ready.wait()
    began, moments = time.perf_counter(), list[float]()
    for row in itertools.cycle(range(count(x))):
        ask(model, rows_of(x, slice(row, row + 1)), output)
        moment = time.perf_counter() - began
        if moment >= seconds:
            return moments
        moments.append(moment)
    return moments


@hookimpl
def modelyard_register_metrics(register: RegisterMetric) -> None:
    """Register the metric `throughput`."""
    register("throughput", throughput, better="higher", unit="per second", steady=False)
