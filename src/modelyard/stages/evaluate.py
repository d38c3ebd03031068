"""Stage `evaluate`: measure a model on the test split as it ships, through the runtime that will serve it."""

from __future__ import annotations

import gzip
import time
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import Dataset, Model
from modelyard.errors import PluginError
from modelyard.jsonfiles import write_json
from modelyard.stages.evaluation import Evaluation, Latency

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import Predictor, Progress
    from modelyard.job import Job

_SUM_TOLERANCE = 1e-3


def run(job: Job) -> None:
    """Open the model with the runtime, measure it, and write what was found.

    Raises:
        PluginError: the runtime does not answer one row of probabilities a sample.
    """
    model, dataset = Model.open(job.inputs["model"]), Dataset.open(job.inputs["dataset"])
    predictor = job.call("runtime", model.folder)
    context = job.base
    figures = evaluate(predictor, model, dataset, context.out, **job.stage.settings, progress=context.progress)
    context.metrics.update(figures)


def evaluate(
    predictor: Predictor,
    model: Model,
    dataset: Dataset,
    out: Path,
    *,
    batch_size: int = 256,
    latency_samples: int = 200,
    warmup: int = 20,
    progress: Progress,
) -> dict[str, Any]:
    """Measure `predictor` on the test split.

    Writes `evaluation.json` and `probabilities.npy` (float32, shape `(samples, classes)`), which are the same every
    time on one machine, and `latency.json`, which is not.

    Args:
        predictor: the model, opened by a runtime.
        model: the model on disk, for its size.
        dataset: the data set; its raw test samples are given to the predictor.
        out: a folder that exists.
        batch_size: samples a call when accuracy is measured.
        latency_samples: calls with one sample that are timed.
        warmup: calls with one sample before those.
        progress: told how many samples are done.

    Returns:
        Figures for `stage.json`.

    Raises:
        PluginError: the predictor does not answer one row of probabilities a sample.
    """
    import numpy as np

    x, y = dataset.x("test"), dataset.y("test")
    classes = len(dataset.facts.class_names)
    probabilities = _predict(predictor, x, classes, batch_size, progress)
    np.save(out / "probabilities.npy", probabilities, allow_pickle=False)
    sizes = model_sizes(model.path)
    evaluation = score(probabilities, y, size_bytes=sizes[0], gzip_bytes=sizes[1])
    latency = measure_latency(predictor, x, latency_samples, warmup)
    write_json(out / "evaluation.json", evaluation)
    write_json(out / "latency.json", latency)
    return {
        "accuracy": evaluation.accuracy,
        "size_bytes": evaluation.size_bytes,
        "gzip_bytes": evaluation.gzip_bytes,
        "p50_ms": latency.p50_ms,
        "p99_ms": latency.p99_ms,
    }


def _predict(
    predictor: Predictor, x: NDArray[np.generic], classes: int, batch_size: int, progress: Progress
) -> NDArray[np.float32]:
    import numpy as np

    probabilities = np.empty((len(x), classes), np.float32)
    for start in range(0, len(x), batch_size):
        batch = x[start : start + batch_size]
        answer = predictor.predict(batch)
        _check_answer(answer, (len(batch), classes), start)
        probabilities[start : start + len(batch)] = answer
        progress(start + len(batch), len(x), unit="samples")
    return probabilities


def _check_answer(answer: Any, shape: tuple[int, int], start: int) -> None:
    import numpy as np

    if not isinstance(answer, np.ndarray) or answer.shape != shape:
        found = getattr(answer, "shape", type(answer).__name__)
        msg = (
            f"the runtime answered {found} for {shape[0]} samples, not the shape {shape}\n"
            "  predict must return (samples, classes)"
        )
        raise PluginError(msg)
    sums = answer.astype(np.float64).sum(axis=1)
    if not (np.isfinite(answer).all() and (answer >= 0).all() and (abs(sums - 1) <= _SUM_TOLERANCE).all()):
        row = int(np.argmax(~(np.isfinite(sums) & (abs(sums - 1) <= _SUM_TOLERANCE) & (answer >= 0).all(axis=1))))
        msg = (
            f"the runtime's answer to test sample {start + row} is no distribution: {answer[row].tolist()}\n"
            "  predict must return probabilities"
        )
        raise PluginError(msg)


def score(
    probabilities: NDArray[np.float32], y: NDArray[np.generic], *, size_bytes: int, gzip_bytes: int
) -> Evaluation:
    """Return how well `probabilities` (shape `(samples, classes)`) meet the labels `y` (shape `(samples,)`)."""
    import numpy as np

    classes = probabilities.shape[1]
    labels = probabilities.argmax(axis=1)
    counts = np.bincount(np.asarray(y) * classes + labels, minlength=classes * classes)
    confusion = counts.reshape(classes, classes)
    there_are = confusion.sum(axis=1)
    right = confusion.diagonal()
    return Evaluation(
        samples=len(labels),
        accuracy=float(right.sum() / len(labels)),
        per_class=tuple(float(r / n) if n else None for r, n in zip(right, there_are, strict=True)),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
        size_bytes=size_bytes,
        gzip_bytes=gzip_bytes,
    )


def model_sizes(path: Path) -> tuple[int, int]:
    """Return the size of a model's file or folder in bytes, raw and after gzip at level 9, file by file."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    contents = (file.read_bytes() for file in files)
    sizes = [(len(data), len(gzip.compress(data, 9, mtime=0))) for data in contents]
    return sum(raw for raw, _ in sizes), sum(packed for _, packed in sizes)


def measure_latency(predictor: Predictor, x: NDArray[np.generic], samples: int, warmup: int) -> Latency:
    """Return how long `predictor` takes for one sample of `x`, over `samples` calls after `warmup` calls."""
    import numpy as np

    def sample(number: int) -> NDArray[np.generic]:
        row = number % len(x)
        return np.array(x[row : row + 1])

    for number in range(warmup):
        predictor.predict(sample(number))
    times_ms = []
    for number in range(samples):
        one = sample(number)
        began = time.perf_counter_ns()
        predictor.predict(one)
        times_ms.append((time.perf_counter_ns() - began) / 1e6)
    p50, p99 = np.percentile(times_ms, [50, 99])
    mean = float(np.mean(times_ms))
    return Latency(p50_ms=float(p50), p99_ms=float(p99), mean_ms=mean, samples=samples, warmup=warmup)
