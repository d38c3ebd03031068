"""The metrics of plugins: what one may return, and where what it measured is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.facts import model_facts
from tests.plans import SOURCE, component, job_of
from tests.tasks import score

from modelyard.artifacts import Dataset, Model
from modelyard.component import Component, Use
from modelyard.contexts import MetricContext
from modelyard.errors import PluginError
from modelyard.execution.job import Job
from modelyard.files.json import write_json
from modelyard.metrics.intervals import mean_interval
from modelyard.stage import Stage
from modelyard.stages import own_metrics
from modelyard.stages.own_metrics import add_own_metrics, is_accumulator, result_of
from modelyard.task import Answers
from modelyard.tensors import OutputFacts
from modelyard.variants.evaluation import ANSWERS, Latency, read_measured, write_evaluation

OUTPUT = OutputFacts(name="probabilities", shape=(3,))
MEASURED = np.eye(3, dtype=np.float32)[np.arange(12) % 3]


class Sum:
    """Adds up what it is given."""

    def __init__(self, given: Any = None) -> None:
        self.total, self.blocks, self.given = 0.0, list[int](), given

    def update(self, block: Answers) -> None:
        self.total += float(block.own.sum())
        self.blocks.append(len(block.own))

    def merge(self, later: Sum) -> None:
        self.total += later.total

    def result(self) -> Any:
        return self.total if self.given is None else self.given


def evaluated(folder: Path, **metrics: Component) -> Job:
    """Return the job of a stage that has measured 12 answers, with further metrics."""
    uses = {f"metric:{name.replace('_', '-')}": Use(one, {"scale": 2.0}) for name, one in metrics.items()}
    runtime = Component("runtime", "r", lambda place: f"opened {place.name}", SOURCE)
    job = job_of(Stage("evaluate", "v", uses={"runtime": Use(runtime), **uses}), {}, folder)
    np.save(folder / ANSWERS, MEASURED)
    sizes = {"size_bytes": 1, "gzip_bytes": 1, "layer_bytes": 1}
    write_evaluation(folder, score(MEASURED, np.arange(12) % 3, ("a", "b", "c"), **sizes))
    write_json(folder / "latency.json", Latency(p50_ms=1.0, p99_ms=2.0, mean_ms=1.0, samples=3, warmup=1))
    return job


def metric(returned: Any, **traits: Any) -> Component:
    given = returned if callable(returned) else lambda _, scale: returned
    return Component("metric", "odd-one", given, SOURCE, **traits)


def add(job: Job, dataset: Dataset) -> dict[str, float]:
    facts = model_facts(format="raw", input_shape=(4, 4, 3), class_names=("a", "b", "c"))
    return add_own_metrics(job, Model(job.base.out, facts), dataset, 2)


def test_a_metric_is_given_the_answers_the_model_and_its_parameters(tmp_path: Path, dataset: Dataset) -> None:
    seen: list[MetricContext] = []

    def count(context: MetricContext, *, scale: float) -> float:
        seen.append(context)
        return scale * len(context.answers)

    assert add(evaluated(tmp_path, count_of=metric(count)), dataset) == {"count_of": 24.0}
    (context,) = seen
    assert np.array_equal(context.answers, MEASURED)
    assert context.open_model() == f"opened {tmp_path.name}"
    assert (context.dataset, context.side_by_side) == (dataset, 2)


def test_a_value_that_is_the_same_every_time_and_one_that_is_not_are_kept_apart(
    tmp_path: Path, dataset: Dataset
) -> None:
    job = evaluated(tmp_path, a=metric(3), b=metric((0.5, 0.25, None), steady=False))
    assert add(job, dataset) == {"a": 3.0, "b": 0.5}
    found = read_measured(tmp_path)
    assert found.evaluation.metric("a").value == 3
    assert "b" not in {one.name for one in found.evaluation.metrics}
    assert "a" not in {one.name for one in found.latency.metrics}
    assert found.latency.metrics[-1].name == "b"
    assert found.latency.metrics[-1].interval == (0.25, None)
    assert found.metrics["accuracy"].value == 1.0, "the task's stay"
    assert found.evaluation.details["class_names"] == ["a", "b", "c"]


def test_a_value_for_each_sample_is_kept_and_its_mean_has_an_interval(tmp_path: Path, dataset: Dataset) -> None:
    values = np.arange(12) / 10
    assert add(evaluated(tmp_path, per_one=metric(values)), dataset) == {"per_one": pytest.approx(0.55)}
    found = read_measured(tmp_path)
    assert found.per_sample("per_one").tolist() == values.tolist()
    assert found.metrics["per_one"].interval == pytest.approx(mean_interval(0.55, float(values.std(ddof=1)), 12))


def test_without_further_metrics_nothing_is_read_or_written(tmp_path: Path, dataset: Dataset) -> None:
    job = job_of(Stage("evaluate", "v", uses={"runtime": Use(component("runtime", "r"))}), {}, tmp_path)
    assert add(job, dataset) == {}


@pytest.mark.parametrize(
    ("returned", "what"),
    [
        ("much", "'much'"),
        (None, "None"),
        (float("nan"), "nan"),
        ((0.5, float("inf"), 1), "(0.5, inf, 1)"),
        ((0.5, 1), "(0.5, 1)"),
        (np.zeros(3), "an array of float64, shape (3,), for 12 samples"),
        (np.full(12, np.nan), "an array of float64, shape (12,), for 12 samples"),
        (np.array(["a"] * 12), "an array of <U1, shape (12,), for 12 samples"),
        (Sum("much"), "'much'"),
    ],
)
def test_what_is_no_measure_is_refused_with_what_it_may_be(
    tmp_path: Path, dataset: Dataset, returned: Any, what: str
) -> None:
    with pytest.raises(PluginError) as caught:
        add(evaluated(tmp_path, odd=metric(lambda _, scale: returned)), dataset)
    first, second = str(caught.value).splitlines()
    assert first.startswith("the metric 'odd' (")
    assert first.endswith(f") returned {what}")
    assert second.startswith("  it returns a finite number, (value, low, high), or an array")


def test_an_accumulator_is_given_all_answers_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_metrics, "_BLOCK", 5)
    found = Sum()
    assert result_of(found, Answers(MEASURED, None, OUTPUT)) == 12
    assert found.blocks == [5, 5, 2]
    assert result_of(0.5, Answers(MEASURED, None, OUTPUT)) == 0.5


def test_what_has_but_some_of_an_accumulator_is_none() -> None:
    assert is_accumulator(Sum())
    assert not is_accumulator({})
    assert not is_accumulator(type("Half", (), {"update": print, "result": print})())
    assert not is_accumulator(type("Odd", (), {"update": print, "merge": 3, "result": print})())
