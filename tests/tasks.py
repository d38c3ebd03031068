"""A classification, for tests of what works on any task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelyard.artifacts import Splits
from modelyard.component import Component, Source
from modelyard.metrics.intervals import wilson_interval
from modelyard.metrics.standard import STANDARD
from modelyard.stages import dataset as stage
from modelyard.stages.measuring import Measuring
from modelyard.task import Answers
from modelyard.tensors import OutputFacts
from modelyard.variants.evaluation import Evaluation, Latency, Measured, Ratio
from modelyard.variants.gates import Gates
from modelyard_plugins.tasks.classification import ACCURACY, Classification, classification

COMPONENT = Component(
    "task", "classification", classification, Source("tests", "project", Path(__file__)), metrics=(ACCURACY,)
)
MEASURING = Measuring(Classification(), COMPONENT)
QUANTITIES = (ACCURACY, *STANDARD)


def write_dataset(splits: Splits, out: Path, **more: Any) -> dict[str, Any]:
    """Write a data set of classes."""
    return stage.write_dataset(splits, out, Classification(), "classification", **more)


def parse_gates(values: Mapping[str, Any]) -> Gates:
    """Return gates on what is measured of a classification."""
    return Gates.parse(values, QUANTITIES)


def score(probabilities: Any, labels: Any, names: Sequence[str], **known: Any) -> Evaluation:
    """Return the evaluation of answers, shape `(samples, classes)`; `known` are its sizes and warnings."""
    output = OutputFacts(name="probabilities", shape=(len(names),), activation="softmax", labels=tuple(names))
    found = Classification().measure(Answers(probabilities, labels, output))
    scores = tuple(one.metric for one in found.scores)
    return Evaluation.of(samples=len(labels), scores=scores, details=found.details, **known)


def evaluation(
    *,
    accuracy: float,
    size: int,
    gzip: int,
    names: Sequence[str] = ("a",),
    per_class: Sequence[float | None] | None = None,
    samples: int = 100,
    **known: Any,
) -> Evaluation:
    """Return an evaluation that says what it is told, as if it had been measured."""
    each = tuple(per_class) if per_class is not None else (accuracy,) * len(names)
    interval = wilson_interval(round(accuracy * samples), samples)
    row = ACCURACY.of(accuracy, interval, dict(zip(names, each, strict=True)))
    sizes = {"size_bytes": size, "gzip_bytes": gzip, "layer_bytes": gzip}
    return Evaluation.of(samples=samples, scores=(row,), details={"class_names": list(names)}, **sizes | known)


def measured(accuracy: float, size: int, gzip: int, p50: float, p99: float) -> Measured:
    """Return what was measured of a variant that took turns with a baseline of 0.04 ms."""
    ratio = Ratio(p50=p50 / 0.04, low=p50 * 0.99 / 0.04, high=p50 * 1.01 / 0.04, rounds=40, baseline_p50_ms=0.04)
    found = evaluation(accuracy=accuracy, size=size, gzip=gzip)
    latency = Latency(
        p50_ms=p50,
        p50_low_ms=p50,
        p50_high_ms=p50,
        p99_ms=p99,
        p99_low_ms=p99,
        p99_high_ms=p99,
        mean_ms=p50,
        samples=10,
        warmup=1,
        ratio=ratio,
    )
    return Measured(found, latency)
