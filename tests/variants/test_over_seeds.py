"""What variants have in common that differ in the seed of their training alone."""

from __future__ import annotations

from math import sqrt

import msgspec
import pytest
from tests.tasks import evaluation

from modelyard.stage_settings import Lineage
from modelyard.variants.evaluation import Latency, Measured
from modelyard.variants.over_seeds import over_seeds, told
from modelyard.variants.row import Row
from modelyard.variants.selection import Selection
from modelyard.variants.table import render_table
from modelyard.variants.verdicts import table_lines


def row(name: str, accuracy: float, **more: object) -> Row:
    latency = Latency(p50_ms=0.01, p99_ms=0.1, mean_ms=0.02, samples=9, warmup=1)
    measured = Measured(evaluation(accuracy=accuracy, size=9000, gzip=9000), latency)
    return Row(variant=name, metrics=tuple(measured.metrics.values()), **more)  # type: ignore[arg-type]


def seeds(*accuracies: float) -> tuple[list[Row], dict[str, Lineage]]:
    names = [f"net.seed-{number}" for number in range(len(accuracies))]
    rows = [row(f"{name}.int8", one) for name, one in zip(names, accuracies, strict=True)]
    return rows, {f"{name}.int8": Lineage(name, f"{name}.float32", "net.int8") for name in names}


def test_the_mean_has_a_deviation_and_students_interval() -> None:
    (found,) = over_seeds(*seeds(0.7, 0.72, 0.74))
    accuracy = found.metrics[0]
    assert (found.variant, len(found.members), accuracy.name) == ("net.int8", 3, "accuracy")
    assert accuracy.value == pytest.approx(0.72)
    assert found.deviations["accuracy"] == pytest.approx(0.02)
    half = 4.302653 * 0.02 / sqrt(3)  # the 97.5 % quantile of Student's t with two degrees of freedom
    assert accuracy.interval == pytest.approx((0.72 - half, 0.72 + half))
    assert told(found) == "accuracy 0.7200 ± 0.0200 over 3 trainings; mean 0.6703 to 0.7697"


def test_a_training_that_no_seed_changes_is_told_so() -> None:
    (found,) = over_seeds(*seeds(0.7, 0.7, 0.7))
    assert told(found).startswith("accuracy 0.7000 with each of 3 trainings: the seed changes nothing;")


def test_a_fraction_ends_at_one_and_sizes_are_no_matter_of_seeds() -> None:
    (found,) = over_seeds(*seeds(0.9, 1.0))
    assert found.metrics[0].high == 1.0
    assert [one.name for one in found.metrics] == ["accuracy"]


def test_one_seed_and_baselines_for_comparison_make_no_group() -> None:
    rows, lineages = seeds(0.9, 0.8)
    assert over_seeds(rows[:1], lineages) == ()
    assert over_seeds([msgspec.structs.replace(one, control=True) for one in rows], lineages) == ()
    assert over_seeds(rows, {}) == ()


def test_the_table_has_them_below_and_a_terminal_tells_long_names_apart() -> None:
    rows, lineages = seeds(0.9, 0.8)
    long = [msgspec.structs.replace(one, variant=f"a-network-of-long-name.{one.variant}") for one in rows]
    selection = Selection(
        chosen="",
        rule="smallest",
        baseline="",
        gates={},
        front=(),
        over_seeds=over_seeds(rows, lineages),
        table=tuple(long),
    )
    assert "| net.int8   |   2 | 0.8500 ± 0.0707 (0.2147 to 1.0000) |\n" in render_table(selection)
    names = {line.split()[0] for line in table_lines(selection)[1:]}
    assert names == {"…ame.net.seed-0.int8", "…ame.net.seed-1.int8"}
