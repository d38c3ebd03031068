"""What a cross-validation says of a variant: mean, deviation and an interval that knows of the overlap."""

from __future__ import annotations

from math import sqrt
from pathlib import Path

import pytest
from tests.tasks import evaluation

from modelyard.files.json import write_json
from modelyard.variants.cross_validated import cross_validated, folds_in, with_means
from modelyard.variants.evaluation import Latency, Measured, write_evaluation
from modelyard.variants.over_seeds import OverSeeds
from modelyard.variants.row import Row
from modelyard.variants.selection import Selection
from modelyard.variants.table import render_table
from modelyard.variants.verdicts import seed_lines

LATENCY = Latency(p50_ms=0.01, p99_ms=0.1, mean_ms=0.02, samples=1, warmup=0)


def measured(folder: Path, accuracy: float) -> Path:
    folder.mkdir()
    write_evaluation(folder, evaluation(accuracy=accuracy, size=9000, gzip=9000))
    write_json(folder / "latency.json", LATENCY)
    return folder


@pytest.fixture
def found(tmp_path: Path) -> tuple[OverSeeds, ...]:
    values = {"int8": (0.7, 0.72, 0.74), "float32": (0.8, 0.8, 0.8)}
    inputs = {
        f"fold:{number}:{name}": measured(tmp_path / f"{name}{number}", value)
        for name, accuracies in values.items()
        for number, value in enumerate(accuracies)
    }
    return cross_validated(folds_in([*inputs.items(), ("model:int8", tmp_path), ("evaluation:int8", tmp_path)]))


def test_the_mean_has_a_deviation_and_the_corrected_interval(found: tuple[OverSeeds, ...]) -> None:
    one = found[0]
    assert (one.variant, one.members) == ("int8", ("fold-0", "fold-1", "fold-2"))
    assert one.metrics[0].value == pytest.approx(0.72)
    assert one.deviations == {"accuracy": pytest.approx(0.02)}
    half = 4.302653 * 0.02 * sqrt(1 / 3 + 1 / 2)  # a third is held out: half of what is trained on
    assert one.metrics[0].interval == pytest.approx((0.72 - half, 0.72 + half))


def test_the_tables_say_it_of_each_variant_the_best_first(found: tuple[OverSeeds, ...]) -> None:
    own = Measured(evaluation(accuracy=0.7, size=9000, gzip=9000), LATENCY)
    rows = tuple(Row(variant=name, metrics=tuple(own.metrics.values())) for name in ("int8", "float32"))
    selection = Selection(
        chosen="", rule="smallest", baseline="float32", gates={}, front=(), cross_validation=found, table=rows
    )
    assert seed_lines(selection) == [
        "float32: accuracy 0.8000 ± 0.0000 over 3 folds; mean 0.8000 to 0.8000",
        "int8: accuracy 0.7200 ± 0.0200 over 3 folds; mean 0.6414 to 0.7986",
    ]
    assert "| over folds |   n |" in render_table(selection)


def test_the_means_are_metrics_if_all_variants_have_some(found: tuple[OverSeeds, ...]) -> None:
    own = Measured(evaluation(accuracy=0.7, size=9000, gzip=9000), LATENCY)
    metrics = with_means({"int8": own, "float32": own}, found)["int8"].metrics
    assert [*metrics][:3] == ["accuracy", "folds_accuracy", "size"]
    assert metrics["folds_accuracy"].value == pytest.approx(0.72)
    assert metrics["folds_accuracy"].interval == found[0].metrics[0].interval
    assert with_means({"int8": own, "other": own}, found) == {"int8": own, "other": own}
