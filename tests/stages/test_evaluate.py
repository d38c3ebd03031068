from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.shared import there
from tests.stages.conftest import Told, splits
from tests.tasks import MEASURING, write_dataset

from modelyard.artifacts import Dataset, Model, ModelFacts
from modelyard.errors import DataError, PluginError
from modelyard.files.json import write_json
from modelyard.stages.evaluate import evaluate
from modelyard.variants.evaluation import read_measured


class Brightness:
    """A real, if simple, model: which of the three channels is brightest; it counts the calls by batch size."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def predict(self, raw: np.ndarray) -> np.ndarray:
        self.calls.append(len(raw))
        logits = raw.astype(np.float32).mean(axis=(1, 2)) / 20
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def model(tmp_path: Path, dataset: Dataset) -> Model:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.tflite").write_bytes(b"weights " * 100)
    facts = dataset.facts
    write_json(
        folder / "model.json",
        ModelFacts.of(facts, "tflite"),
    )
    return Model.open(folder)


def test_measures_the_test_split_and_leaves_three_files(
    dataset: Dataset, model: Model, told: Told, tmp_path: Path
) -> None:
    predictor = Brightness()
    out = tmp_path / "out"
    out.mkdir()
    metrics = evaluate(
        lambda _: predictor,
        model,
        dataset,
        out,
        MEASURING,
        batch_size=5,
        latency_samples=7,
        warmup=3,
        workers=1,
        progress=told,
    )
    assert sorted(p.name for p in out.iterdir()) == [
        "answers.npy",
        "evaluation.json",
        "latency.json",
        "per_sample",
    ]
    assert predictor.calls[:13] == [5, 5, 2] + [1] * 10
    assert list(dict.fromkeys(predictor.calls[13:])) == [1, 4], "as many at once as answers were measured with"
    assert told.calls == [(5, 12), (10, 12), (12, 12)]
    probabilities = np.load(out / "answers.npy")
    assert probabilities.dtype == np.float32
    assert np.array_equal(probabilities, Brightness().predict(dataset.x("test")))
    measured = read_measured(out)
    right = measured.per_sample("accuracy")
    assert (right.dtype, right.tolist()) == (bool, (probabilities.argmax(axis=1) == dataset.y("test")).tolist())
    assert measured.per_sample("size") is None
    expected = (dataset.x("test").mean(axis=(1, 2)).argmax(axis=1) == dataset.y("test")).mean()
    assert measured.evaluation.metric("accuracy").value == metrics["accuracy"] == expected
    assert measured.evaluation.details["class_names"] == ["a", "b", "c"]
    assert measured.latency.samples == 7
    assert measured.latency.ratio is None
    assert list(measured.latency.batch_ms) == ["1", "4"]
    assert 0 < measured.latency.p50_ms <= measured.latency.p99_ms


def test_all_but_the_latency_is_the_same_every_time_however_many_workers(
    dataset: Dataset, model: Model, told: Told, tmp_path: Path
) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        evaluate(
            lambda _: Brightness(),
            model,
            dataset,
            tmp_path / name,
            MEASURING,
            batch_size=5,
            latency_samples=2,
            warmup=0,
            workers=1 if name == "a" else 3,
            progress=told,
        )
    for file in ("evaluation.json", "answers.npy"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_workers_have_a_predictor_each_and_share_the_batches(
    dataset: Dataset, model: Model, told: Told, tmp_path: Path
) -> None:
    made: list[Brightness] = []
    meet = threading.Barrier(3, timeout=30)

    class Waiting(Brightness):
        def predict(self, raw: np.ndarray) -> np.ndarray:
            if len(raw) > 1 and len(made) < 4:
                meet.wait()  # passes only if three predict at the same time
            return super().predict(raw)

    def open_model(_: Model) -> Brightness:
        made.append(Waiting())
        return made[-1]

    evaluate(
        open_model,
        model,
        dataset,
        tmp_path,
        MEASURING,
        batch_size=4,
        latency_samples=1,
        warmup=0,
        workers=8,
        progress=told,
    )
    assert [predictor.calls for predictor in made[:3]] == [[4], [4], [4]], "no more predictors than batches"
    assert len(made) == 4, "one to time"


def test_a_baseline_is_timed_in_turns_with_the_model(
    dataset: Dataset, model: Model, told: Told, tmp_path: Path
) -> None:
    order: list[str] = []

    class Named(Brightness):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def predict(self, raw: np.ndarray) -> np.ndarray:
            order.extend([self.name] if len(raw) == 1 else [])
            return super().predict(raw)

    baseline = Model(model.folder, model.facts)
    allowed = os.sched_getaffinity(0)
    evaluate(
        lambda one: Named("baseline" if one is baseline else "own"),
        model,
        dataset,
        tmp_path,
        MEASURING,
        latency_samples=60,
        warmup=1,
        baseline=baseline,
        threads=1,
        lock=tmp_path / "lock",
        progress=told,
    )
    turns = [(name, len(list(calls))) for name, calls in itertools.groupby(order[2:])]
    assert turns[:-1] == [
        ("own", 11),
        ("baseline", 22),
        ("own", 22),
        ("baseline", 22),
        ("own", 22),
        ("baseline", 22),
    ]
    assert turns[-1] > ("own", 11), "and then what a batch takes"
    assert os.sched_getaffinity(0) == allowed
    latency = read_measured(tmp_path).latency
    ratio, host = there(latency.ratio), there(latency.host)
    assert (latency.samples, ratio.rounds, host.threads) == (60, 6, 1)
    assert there(ratio.low) <= ratio.p50 <= there(ratio.high)
    assert there(latency.p50_low_ms) <= latency.p50_ms <= there(latency.p50_high_ms)
    assert len(host.cpus) == 1
    assert set(host.cpus) <= allowed


def test_warnings_of_the_models_chain_are_kept(dataset: Dataset, model: Model, told: Told, tmp_path: Path) -> None:
    warned = Model(model.folder, msgspec.structs.replace(model.facts, warnings=("slow on this CPU",)))
    evaluate(lambda _: Brightness(), warned, dataset, tmp_path, MEASURING, latency_samples=1, warmup=0, progress=told)
    assert read_measured(tmp_path).evaluation.warnings == ("slow on this CPU",)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda raw: np.zeros((len(raw), 2), np.float32), r"answered \(12, 2\) for 12 samples, not .* \(12, 3\)"),
        (lambda raw: None, "answered NoneType for 12 samples"),
        (lambda raw: np.eye(3, dtype=np.float32)[np.arange(len(raw)) % 3] * 4, "test sample 0 is no distribution"),
        (lambda raw: np.full((len(raw), 3), np.nan, np.float32), "no distribution: .*nan"),
        (lambda raw: np.tile(np.array([1.5, -0.5, 0], np.float32), (len(raw), 1)), "no distribution"),
    ],
)
def test_a_runtime_that_does_not_answer_probabilities_is_refused(
    dataset: Dataset, model: Model, told: Told, tmp_path: Path, answer: Callable[..., Any], message: str
) -> None:
    class Wrong(Brightness):
        def predict(self, raw: np.ndarray) -> Any:
            return answer(raw)

    with pytest.raises(PluginError, match=message):
        evaluate(lambda _: Wrong(), model, dataset, tmp_path, MEASURING, progress=told)


def test_a_damaged_evaluation_is_named(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text('{"accuracy": 1}')
    with pytest.raises(DataError, match=r"evaluation\.json: cannot be read as Evaluation"):
        read_measured(tmp_path)


def test_a_further_test_set_is_asked_and_measured_and_leaves_no_answers(model: Model, tmp_path: Path) -> None:
    folder, out = tmp_path / "rare", tmp_path / "out"
    for path in (folder, out):
        path.mkdir()
    dark = np.zeros((4, 4, 4, 3), np.uint8)
    dark[..., 2] = 9
    cameras = {"night": {"camera": ["a", "a", "b", "b"]}}
    given = splits(test_sets={"night": (dark, np.array([2, 2, 2, 0]))}, test_set_slices=cameras)
    write_dataset(given, folder, progress=Told())
    evaluate(
        lambda _: Brightness(),
        model,
        Dataset.open(folder),
        out,
        MEASURING,
        latency_samples=2,
        warmup=1,
        workers=1,
        test_sets=["night"],
        slices=["night.camera"],
        progress=Told(),
    )
    measured = read_measured(out)
    assert [one.name for one in measured.evaluation.metrics[:2]] == ["accuracy", "night_accuracy"]
    assert measured.evaluation.metric("night_accuracy").value == 0.75
    assert measured.evaluation.metric("night_camera_accuracy").per_group == {"a": 1.0, "b": 0.5}
    assert measured.per_sample("night_accuracy").tolist() == [True, True, True, False]
    assert len(measured.answers) == measured.evaluation.samples == 12
    assert sorted(p.name for p in out.glob("*.npy")) == ["answers.npy"]
