"""Stage `evaluate`: measure a model on the test split as it ships, through the runtime that will serve it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import Dataset, Model
from modelyard.files.json import write_json
from modelyard.files.npy import open_array
from modelyard.stage_settings import EvaluateSettings
from modelyard.stages.by_slice import by_slice
from modelyard.stages.handlers import Around
from modelyard.stages.measuring import Measuring
from modelyard.stages.on_test_sets import on_test_sets
from modelyard.stages.own_metrics import add_own_metrics
from modelyard.stages.predicting import as_many_as_fit, predict
from modelyard.stages.sizes import model_sizes
from modelyard.stages.tasks import open_task, task_component
from modelyard.task import Answers, Scores
from modelyard.variants.evaluation import ANSWERS, Evaluation, save_per_sample, write_evaluation
from modelyard.variants.latency import measure_latency

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from modelyard.artifacts import ModelFacts
    from modelyard.contexts import Predictor, Progress
    from modelyard.execution.job import Job
    from modelyard.tensors import OutputFacts

_BASELINE = "baseline.npy"
_FURTHER = "further.npy"


def run(job: Job) -> None:
    """Open the model with the runtime, measure it, and write what was found.

    Raises:
        PluginError: the runtime does not answer what the task wants, or the task does not measure what it says.
    """
    model, dataset = Model.open(job.inputs["model"]), Dataset.open(job.inputs["dataset"])
    baseline = Model.open(job.inputs["baseline"]) if "baseline" in job.inputs else None
    told = job.stage.uses["runtime"].params.get("threads")  # else the frameworks' own: as many as any stage may use
    threads = told if isinstance(told, int) else job.stage.threads
    context, around = job.base, Around(job.stage.uses, dataset.facts)
    settings = job.stage.settings_as(EvaluateSettings)
    figures = evaluate(
        lambda one: around.open(job.call("runtime", one.folder), one.facts),
        model,
        dataset,
        context.out,
        Measuring(open_task(job), task_component(job)),
        batch_size=settings.batch_size,
        latency_samples=settings.latency_samples,
        warmup=settings.warmup,
        workers=settings.workers,
        test_sets=settings.test_sets,
        slices=settings.slices,
        answer_of=around.answer,
        baseline=baseline,
        threads=threads,
        lock=context.cache / "latency.lock",
        progress=context.progress,
    )
    context.metrics.update(figures | add_own_metrics(job, model, dataset, as_many_as_fit(threads, model)))


def evaluate(
    open_model: Callable[[Model], Predictor],
    model: Model,
    dataset: Dataset,
    out: Path,
    measuring: Measuring,
    *,
    batch_size: int = 256,
    latency_samples: int = 400,
    warmup: int = 20,
    workers: int | None = None,
    test_sets: Sequence[str] = (),
    slices: Sequence[str] = (),
    baseline: Model | None = None,
    threads: int | None = None,
    lock: Path | None = None,
    answer_of: Callable[[ModelFacts], OutputFacts] = lambda facts: facts.answer,
    progress: Progress,
) -> dict[str, Any]:
    """Measure a model on the test split.

    Writes `evaluation.json`, `answers.npy` (shape `(samples, ...)`) and `per_sample/METRIC.npy` (shape `(samples,)`), which
    are the same every time on one machine, and `latency.json`, which is not.

    Args:
        open_model: opens a model with the runtime, and its handlers around it.
        model: the model on disk.
        dataset: the data set; the predictor is given its test samples as clients send them.
        out: a folder that exists.
        measuring: the task.
        batch_size: samples a call when answers are measured; fewer where they depend on the model's batch.
        latency_samples: calls with one sample that are timed.
        warmup: calls with one sample before those.
        workers: predictors that answer side by side; None for as many as there are CPUs, and memory for.
        test_sets: further test sets, on each of which is measured what the task measures.
        slices: columns of the test split, or `SET.COLUMN` of one of `test_sets`, of each of whose values is measured what the
            task measures of all.
        baseline: the model that latencies are compared with; None if it is this one.
        threads: threads of one prediction; None if the runtime does not say.
        lock: a file; only one process that names it measures latency at a time.
        answer_of: gives the tensor that the task measures.
        progress: told how many samples are done.

    Returns:
        Figures for `stage.json`.

    Raises:
        PluginError: the predictor does not answer what the task wants.
    """
    task, answer = measuring.task, answer_of(model.facts)
    side_by_side = workers or as_many_as_fit(threads, model)

    def answers_of(one: Model, split: str, file: Path) -> Any:
        at_once, samples, lengths = one.facts.at_once(batch_size), dataset.sent(split), dataset.asked_lengths(split)
        predict(
            lambda: open_model(one), samples, file, answer_of(one.facts), task, at_once, side_by_side, progress, lengths
        )
        return open_array(file)

    def answered(split: str) -> Answers:
        own = other = answers_of(model, split, out / (ANSWERS if split == "test" else _FURTHER))
        if task.looks_at_baseline and baseline is not None:
            other = answers_of(baseline, split, out / _BASELINE)
        for file in (_FURTHER, _BASELINE):
            (out / file).unlink(missing_ok=True)  # what is open stays
        labels = dataset.y(split) if dataset.has_labels else None
        return Answers(own, labels, answer, other if task.looks_at_baseline else None)

    answers = {"test": answered("test")}
    found = measuring.scores(answers["test"])
    sets = dict(
        on_test_sets(measuring, dataset.facts, test_sets, lambda name: answers.setdefault(name, answered(name)))
    )
    scores = (*found.scores, *(score for one in sets.values() for score in one.scores))
    for score in scores:
        if score.per_sample is not None:
            save_per_sample(out, score.metric.name, score.per_sample)
    evaluation = Evaluation.of(
        samples=len(answers["test"].own),
        scores=(*(score.metric for score in scores), *by_slice(measuring, answers, dataset, slices, out)),
        details=_details(found, sets),
        warnings=model.facts.warnings,
        **asdict(model_sizes(model)),
    )
    latency = measure_latency(
        lambda: open_model(model),
        dataset.sent(),
        answer.name,
        samples=latency_samples,
        warmup=warmup,
        open_baseline=None if baseline is None else lambda: open_model(baseline),
        at_once=model.facts.at_once(batch_size),
        threads=threads,
        lock=lock,
        lengths=dataset.asked_lengths(),
    )
    write_evaluation(out, evaluation)
    write_json(out / "latency.json", latency)
    times = (
        {"p50_ms": latency.p50_ms, "p99_ms": latency.p99_ms} if latency_samples > 1 else {}
    )  # one call tells nothing
    return {
        **{score.metric.name: score.metric.value for score in found.scores},
        "size_bytes": evaluation.size_bytes,
        "gzip_bytes": evaluation.gzip_bytes,
        **times,
    }


def _details(found: Scores, sets: Mapping[str, Scores]) -> Mapping[str, Any]:
    """Return what the task says beside the metrics of the test split, and of each further test set by its name."""
    further = {name: dict(one.details) for name, one in sets.items() if one.details}
    return {**found.details, "test_sets": further} if further else found.details
