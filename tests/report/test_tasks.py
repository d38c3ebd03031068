"""Reports on what is no classification: they are right about it, and say nothing of classes."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from modelyard.artifacts import Splits
from modelyard.metrics.standard import STANDARD
from modelyard.report.collect import Collected
from modelyard.report.facts import read_report
from modelyard.stages.dataset import write_dataset
from modelyard.task import Answers
from modelyard.tensors import OutputFacts
from modelyard.variants.evaluation import Evaluation, write_evaluation
from modelyard_plugins.tasks.regression import MAE, R2, RMSE, Regression
from tests.report.conftest import collected, selecting, write_page
from tests.report.test_write import read

SIZES = {"size_bytes": 1000, "gzip_bytes": 800, "layer_bytes": 900}


def regression(folder: Path, names: tuple[str, ...] = (), numbers: int = 1) -> Collected:
    """Return the artifacts of a regression whose first variant is off by 1, and each further one by a tenth more."""
    made = collected(folder, variants=3)
    labels = np.arange(120 * numbers, dtype=np.float32).reshape(120, numbers)
    splits = Splits(labels, labels, labels, labels, names)
    write_dataset(
        splits, Path(made.artifacts["dataset:data"]), Regression(), "regression", progress=lambda *_, **__: None
    )
    output = OutputFacts(name="prediction", shape=(numbers,), labels=names)
    for number, places in enumerate(made.variants.values()):
        own = labels + 1 + number / 10
        found = Regression().measure(Answers(own, labels, output))
        scores = tuple(one.metric for one in found.scores)
        place = Path(places.evaluation)
        np.save(place / "answers.npy", own)
        write_evaluation(place, Evaluation.of(samples=120, scores=scores, details=found.details, **SIZES))
    return msgspec.structs.replace(
        made,
        quantities=(MAE, RMSE, R2, *STANDARD),
        select=selecting({"max_mae": 9}),
    )


def test_a_regression_is_told_by_its_own_quality(tmp_path: Path) -> None:
    out = write_page(regression(tmp_path / "project"))
    reader = read(out)
    texts = "".join(reader.texts)
    assert "v1 ships: its MAE is 1.1 on 120 test samples (+0.1 against v0)" in texts
    assert "MAE, lower is better" in texts
    assert "no other is at least as good in MAE, RMSE, R2, sizes and latencies" in texts
    assert "Best MAE: v0." in texts
    assert {"classes", "mistakes", "examples"}.isdisjoint(reader.ids)
    assert "ships: MAE 1.1 (+0.1 against v0)" in (out / "report.md").read_text()


def test_the_json_of_a_regression_has_rows_and_no_classes(tmp_path: Path) -> None:
    one = read_report(write_page(regression(tmp_path / "project"))).variants[1]
    assert (one.accuracy, one.per_class, one.confusion_matrix, one.against_baseline) == (None, (), None, None)
    assert one.quality.name == "mae"
    assert one.quality.value == pytest.approx(1.1, abs=1e-4)


def test_what_is_told_of_each_number_of_an_answer_is_a_section(tmp_path: Path) -> None:
    out = write_page(regression(tmp_path / "project", ("width", "height"), 2))
    texts = "".join(read(out).texts)
    assert "MAE of each quantity" in texts
    assert "all quantities" in texts
    assert "MAE against the baseline" in texts


def test_outputs_and_test_sets_have_confusion_matrices_of_their_own(tmp_path: Path) -> None:
    made = regression(tmp_path / "project")
    kind = {"class_names": ["cat", "dog"], "confusion": [[7, 1], [0, 9]], "accuracy": 16 / 17}
    told = {"outputs": {"kind": kind, "place": {"spread": 2}}, "test_sets": {"night": {"outputs": {"kind": kind}}}}
    for places in made.variants.values():
        file = Path(places.evaluation) / "evaluation.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | told))
    out = write_page(made)
    reader = read(out)
    texts = "".join(reader.texts)
    assert "Confusion matrix of v1: kind" in texts
    assert "Confusion matrix of v1: kind on night" in texts
    parts = json.loads((out / "report.json").read_text())["variants"][1]["parts"]
    assert [(one["output"], one["test_set"], one["confusion_matrix"]["count"]) for one in parts] == [
        ("kind", "", [7, 1, 9]),
        ("kind", "night", [7, 1, 9]),
    ]
