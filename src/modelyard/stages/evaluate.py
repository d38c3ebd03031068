"""Stage `evaluate`: measure a model on the test split as it ships, through the runtime that will serve it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import Dataset, Model
from modelyard.errors import PluginError
from modelyard.files.json import write_json
from modelyard.metrics.standard import ACCURACY
from modelyard.stages.own_metrics import add_own_metrics
from modelyard.stages.sizes import model_sizes
from modelyard.system import usable_cpus
from modelyard.variants.evaluation import Evaluation, save_per_sample
from modelyard.variants.latency import measure_latency

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import Predictor, Progress
    from modelyard.execution.job import Job

_SUM_TOLERANCE = 1e-3


def run(job: Job) -> None:
    """Open the model with the runtime, measure it, and write what was found.

    Raises:
        PluginError: the runtime does not answer one row of probabilities a sample.
    """
    model, dataset = Model.open(job.inputs["model"]), Dataset.open(job.inputs["dataset"])
    baseline = Model.open(job.inputs["baseline"]) if "baseline" in job.inputs else None
    told = job.stage.uses["runtime"].params.get("threads")  # else the frameworks' own: as many as any stage may use
    threads = told if isinstance(told, int) else job.stage.threads
    context = job.base
    figures = evaluate(
        lambda one: job.call("runtime", one.folder),
        model,
        dataset,
        context.out,
        **job.stage.settings,
        baseline=baseline,
        threads=threads,
        lock=context.cache / "latency.lock",
        progress=context.progress,
    )
    context.metrics.update(figures | add_own_metrics(job, model, dataset, as_many_as_fit(threads)))


def evaluate(
    open_model: Callable[[Model], Predictor],
    model: Model,
    dataset: Dataset,
    out: Path,
    *,
    batch_size: int = 256,
    latency_samples: int = 400,
    warmup: int = 20,
    workers: int | None = None,
    baseline: Model | None = None,
    threads: int | None = None,
    lock: Path | None = None,
    progress: Progress,
) -> dict[str, Any]:
    """Measure a model on the test split.

    Writes `evaluation.json`, `probabilities.npy` (float32, shape `(samples, classes)`) and `per_sample/accuracy.npy` (bool,
    shape `(samples,)`), which are the same every time on one machine, and `latency.json`, which is not.

    Args:
        open_model: opens a model with the runtime.
        model: the model on disk.
        dataset: the data set; its raw test samples are given to the predictor.
        out: a folder that exists.
        batch_size: samples a call when accuracy is measured; fewer where the model's answers depend on its batch.
        latency_samples: calls with one sample that are timed.
        warmup: calls with one sample before those.
        workers: predictors that measure the accuracy side by side; None for as many as there are CPUs.
        baseline: the model that latencies are compared with; None if it is this one.
        threads: threads of one prediction; None if the runtime does not say.
        lock: a file; only one process that names it measures latency at a time.
        progress: told how many samples are done.

    Returns:
        Figures for `stage.json`.

    Raises:
        PluginError: the predictor does not answer one row of probabilities a sample.
    """
    import numpy as np

    x, y = dataset.x("test"), dataset.y("test")
    names = dataset.facts.class_names
    at_once = model.facts.at_once(batch_size)
    side_by_side = workers or as_many_as_fit(threads)
    probabilities = predict(lambda: open_model(model), x, len(names), at_once, side_by_side, progress)
    np.save(out / "probabilities.npy", probabilities, allow_pickle=False)
    save_per_sample(out, ACCURACY.name, probabilities.argmax(axis=1) == np.asarray(y))
    evaluation = score(probabilities, y, names, **asdict(model_sizes(model)), warnings=model.facts.warnings)
    latency = measure_latency(
        lambda: open_model(model),
        x,
        samples=latency_samples,
        warmup=warmup,
        open_baseline=None if baseline is None else lambda: open_model(baseline),
        threads=threads,
        lock=lock,
    )
    write_json(out / "evaluation.json", evaluation)
    write_json(out / "latency.json", latency)
    return {
        "accuracy": evaluation.accuracy,
        "size_bytes": evaluation.size_bytes,
        "gzip_bytes": evaluation.gzip_bytes,
        "p50_ms": latency.p50_ms,
        "p99_ms": latency.p99_ms,
    }


def as_many_as_fit(threads: int | None) -> int:
    """Return how many predictors with so many threads keep every processor busy."""
    return max(1, len(usable_cpus()) // (threads or 1))


def predict(
    open_model: Callable[[], Predictor],
    x: NDArray[np.generic],
    classes: int,
    batch_size: int,
    workers: int,
    progress: Progress,
) -> NDArray[np.float32]:
    """Return what a model answers to `x`: float32, shape `(len(x), classes)`.

    Several predictors share the batches. A batch holds the same samples however many they are, so the answers do not
    depend on it.

    Raises:
        PluginError: an answer is not one row of probabilities a sample.
    """
    import numpy as np

    probabilities = np.empty((len(x), classes), np.float32)
    starts = range(0, len(x), batch_size)
    idle: SimpleQueue[Predictor] = SimpleQueue()

    def answer(start: int) -> int:
        predictor = idle.get()
        try:
            batch = x[start : start + batch_size]
            found = predictor.predict(batch)
        finally:
            idle.put(predictor)
        _check_answer(found, (len(batch), classes), start)
        probabilities[start : start + len(batch)] = found
        return start + len(batch)

    count = max(1, min(workers, len(starts)))
    for _ in range(count):
        idle.put(open_model())
    with ThreadPoolExecutor(count) as pool:
        for done in pool.map(answer, starts):
            progress(done, len(x), unit="samples")
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
    probabilities: NDArray[np.float32],
    y: NDArray[np.generic],
    class_names: Sequence[str],
    *,
    size_bytes: int,
    gzip_bytes: int,
    layer_bytes: int,
    warnings: tuple[str, ...] = (),
) -> Evaluation:
    """Return how well `probabilities` (shape `(samples, classes)`) meet the labels `y` (shape `(samples,)`)."""
    import numpy as np

    classes = len(class_names)
    labels = probabilities.argmax(axis=1)
    counts = np.bincount(np.asarray(y) * classes + labels, minlength=classes * classes)
    confusion = counts.reshape(classes, classes)
    there_are = confusion.sum(axis=1)
    right = confusion.diagonal()
    return Evaluation(
        samples=len(labels),
        class_names=tuple(class_names),
        accuracy=float(right.sum() / len(labels)),
        per_class=tuple(float(r / n) if n else None for r, n in zip(right, there_are, strict=True)),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
        size_bytes=size_bytes,
        gzip_bytes=gzip_bytes,
        layer_bytes=layer_bytes,
        warnings=warnings,
    )
