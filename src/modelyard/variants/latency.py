"""Measure latency so that it can be trusted on a machine with other work.

The variant and the baseline take turns in one process, pinned to the same CPUs, so that whatever else the machine
does falls on both: their ratio is steadier than either time. Every figure comes with its interval.
"""

from __future__ import annotations

import fcntl
import gc
import os
import resource
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.asking import ask, count, rows_of
from modelyard.keys.machine import cpu_model
from modelyard.metrics.intervals import CONFIDENCE, quantile_interval
from modelyard.system import pin, usable_cpus
from modelyard.variants.evaluation import Host, Latency, Ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from modelyard.asking import Lengths, Samples
    from modelyard.contexts import Predictor

_ROUNDS = 40
"""How often variant and baseline take turns, if there are calls enough."""
_FEWEST = 10
"""Calls of each in one turn, at least: enough for a median that one interruption does not move."""
_BATCHES = (1, 4, 16, 64)
"""So many samples are given at once, to see whether that pays."""
_CALLS, _CALLS_S = (3, 20), 0.25
"""Timed calls of each batch: so many, fewer once they have taken so long together, in seconds."""


def measure_latency(
    open_model: Callable[[], Predictor],
    x: Samples,
    output: str,
    *,
    samples: int,
    warmup: int,
    open_baseline: Callable[[], Predictor] | None = None,
    at_once: int = _BATCHES[-1],
    threads: int | None = None,
    lock: Path | None = None,
    lengths: Lengths | None = None,
) -> Latency:
    """Return how long a model takes for one sample of `x`, and how that compares with the baseline.

    Args:
        open_model: opens the model. It is called while the process is pinned, so that threads which it starts are, too.
        x: raw samples; the calls go through them in order.
        output: what is asked for.
        samples: calls that are timed.
        warmup: calls before those.
        open_baseline: opens the baseline; None if the model is the baseline.
        at_once: how many samples the model may be given at once.
        threads: threads of one prediction; as many CPUs are used, or one if it is not known.
        lock: a file; only one process that names it measures at a time.
        lengths: how long each sample is, where they are of several lengths: only those of one are given at once.
    """
    with _alone(lock), _pinned(threads or 1) as cpus, _uncollected():
        models = [open_model(), *([open_baseline()] if open_baseline else [])]
        load_1m = os.getloadavg()[0]
        before = _preemptions()
        own, other = _times_ms(models, x, output, samples, warmup)
        host = Host(
            cpu_model=cpu_model() or os.uname().machine,
            cpus=cpus,
            threads=threads,
            governor=_governor(cpus[0] if cpus else 0),
            load_1m=round(load_1m, 2),
            preemptions=_preemptions() - before,
        )
        batch_ms = _batch_ms(models[0], x, output, min(at_once, count(x)), lengths)
    return _latency(own, _ratio(own, other) if other else None, host, warmup, batch_ms)


@contextmanager
def _alone(lock: Path | None) -> Iterator[None]:
    """Wait until no other stage of this project measures: two at once would measure each other."""
    if lock is None:
        yield
        return
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # closing the file, or the end of the process, lets go of it
        yield


@contextmanager
def _pinned(count: int) -> Iterator[tuple[int, ...]]:
    """Pin this thread, and those that it starts, to the last `count` CPUs: the first ones serve most interrupts.

    Yields the CPUs; none where the system cannot do that (macOS) or forbids it, as some sandboxes do.
    """
    allowed = usable_cpus()
    cpus = allowed[-count:]
    if not pin(cpus):
        yield ()
        return
    try:
        yield cpus
    finally:
        pin(allowed)


def _times_ms(
    models: Sequence[Predictor], x: Samples, output: str, samples: int, warmup: int
) -> tuple[list[list[float]], list[list[float]]]:
    """Return the times of the model's calls and of the baseline's, in milliseconds, a list for each round."""
    for model in models:
        for number in range(warmup):
            ask(model, _sample(x, number), output)
    times: tuple[list[list[float]], list[list[float]]] = ([], [])
    for start, calls in _turns(samples):
        both = list(enumerate(models))
        for which, model in both if len(times[0]) % 2 == 0 else reversed(both):  # neither is always the first
            if len(models) > 1:
                ask(model, _sample(x, start), output)  # not timed: the caches are full of the other model
            times[which].append([_time_ms(model, _sample(x, start + n), output) for n in range(calls)])
    return times


@contextmanager
def _uncollected() -> Iterator[None]:
    """Have the garbage wait: its collector would fall on some calls."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _batch_ms(model: Predictor, x: Samples, output: str, most: int, lengths: Lengths | None) -> dict[str, float]:
    """Return the milliseconds that a sample takes in batches of at most `most`, by their size.

    Of samples of several lengths it is one of the middle, so many times.
    """
    import numpy as np

    middle = np.argsort(next(iter(lengths.values())), kind="stable")[count(x) // 2] if lengths else None
    found = {}
    for size in (size for size in _BATCHES if size <= most):
        batch = rows_of(x, slice(size) if middle is None else np.full(size, middle))
        ask(model, batch, output)  # the first of its size is slower: memory is laid out anew
        times = [_time_ms(model, batch, output)]
        while len(times) < _CALLS[0] or (len(times) < _CALLS[1] and sum(times) < 1000 * _CALLS_S):
            times.append(_time_ms(model, batch, output))
        found[str(size)] = float(np.median(times)) / size
    return found


def _turns(samples: int) -> Iterator[tuple[int, int]]:
    """Yield the first call's number and the number of calls of each round; `samples` calls in all."""
    size = max(1, min(samples // 6, max(_FEWEST, -(-samples // _ROUNDS))))  # a median's interval takes 6 rounds
    for start in range(0, samples, size):
        yield start, min(size, samples - start)


def _sample(x: Samples, number: int) -> Samples:
    row = number % count(x)
    return rows_of(x, slice(row, row + 1))


def _time_ms(model: Predictor, one: Samples, output: str) -> float:
    began = time.perf_counter_ns()
    ask(model, one, output)
    return (time.perf_counter_ns() - began) / 1e6


def _ratio(own: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> Ratio:
    import numpy as np

    ratios = [float(np.median(a) / np.median(b)) for a, b in zip(own, other, strict=True)]
    low, high = quantile_interval(ratios, 0.5)
    return Ratio(
        p50=float(np.median(ratios)),
        low=low,
        high=high,
        rounds=len(ratios),
        baseline_p50_ms=float(np.median(np.concatenate(other))),
    )


def _latency(
    rounds: Sequence[Sequence[float]], ratio: Ratio | None, host: Host, warmup: int, batch_ms: dict[str, float]
) -> Latency:
    import numpy as np

    times = [one for turn in rounds for one in turn]
    p50, p99 = np.percentile(times, [50, 99])
    (p50_low, p50_high), (p99_low, p99_high) = quantile_interval(times, 0.5), quantile_interval(times, 0.99)
    return Latency(
        p50_ms=float(p50),
        p50_low_ms=p50_low,
        p50_high_ms=p50_high,
        p99_ms=float(p99),
        p99_low_ms=p99_low,
        p99_high_ms=p99_high,
        mean_ms=float(np.mean(times)),
        samples=len(times),
        warmup=warmup,
        confidence=CONFIDENCE,
        ratio=ratio,
        host=host,
        batch_ms=batch_ms,
    )


def _preemptions() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def _governor(cpu: int) -> str | None:
    try:
        return Path(f"/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
