from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from modelyard.metrics.intervals import mcnemar
from modelyard.report.facts import Against, Report
from modelyard.report.material import Material
from modelyard.report.measure import measure
from tests.report.conftest import Make, with_state
from tests.shared import there


def test_every_variant_has_its_figures_and_what_it_breaks(measured: Callable[..., tuple[Report, Material]]) -> None:
    report, _ = measured(samples=120)
    one = there(report.variant("v1"))
    assert (one.samples, one.size_bytes, one.gzip_bytes) == (120, 100_000, 75_000)
    assert one.accuracy == pytest.approx(1 - 15 / 120)  # each 8th is wrong
    # v0 errs at the multiples of 7, v1 at those of 8: they agree where both do
    wrong = {n for n in range(120) if n % 7 == 0}, {n for n in range(120) if n % 8 == 0}
    broken, mended = len(wrong[1] - wrong[0]), len(wrong[0] - wrong[1])
    p_value = mcnemar(broken, mended)
    assert one.against_baseline == Against(differ=broken + mended, broken=broken, mended=mended, p_value=p_value)
    assert there(report.variant("v0")).against_baseline is None
    assert there(one.latency_ratio).value == 0.9
    assert there(report.variant("v2")).warnings == ("few samples to calibrate with",)


def test_mistakes_are_named_the_most_frequent_first(measured: Callable[..., tuple[Report, Material]]) -> None:
    report, _ = measured(class_names=("a", "b"), samples=56)
    counts = [one.count for one in report.variants[0].confusions]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == 8
    assert {(one.label, one.answer) for one in report.variants[0].confusions} == {("a", "b"), ("b", "a")}


def test_the_whole_confusion_matrix_is_told_by_its_cells(measured: Callable[..., tuple[Report, Material]]) -> None:
    report, material = measured(class_names=("cat", "dog", "bird", "frog"), samples=120, unseen=1)
    for one in report.variants:
        found = there(one.confusion_matrix)
        dense = [[0] * 4 for _ in range(4)]
        for label, answer, count in zip(found.label, found.answer, found.count, strict=True):
            dense[label][answer] = count
        assert dense == [list(row) for row in material.measured[one.name].evaluation.details["confusion"]]
        assert sum(found.count) == 120
        assert 0 not in found.count
        assert 3 not in found.label


def test_gates_are_judged_without_a_selection(measured: Callable[..., tuple[Report, Material]]) -> None:
    report, _ = measured(built=("dataset", "evaluate"), gates={"min_accuracy": 0.88})
    assert report.shipped is None
    assert [one.name for one in report.variants if one.misses] == ["v0", "v1"]
    assert report.gates == {"min_accuracy": 0.88, "undecided": "measured"}


def test_what_was_measured_on_other_data_is_not_compared(make: Make) -> None:
    made = make(variants=3)
    stale = msgspec.structs.replace(made.variants["v1"], data="f" * 64)
    report, _ = measure(msgspec.structs.replace(made, variants={**made.variants, "v1": stale}))
    assert any("v1" in note and "other data than the baseline 'v0'" in note for note in report.notes)
    assert there(report.variant("v1")).compared_with == ""
    assert there(report.variant("v1")).against_baseline is None
    assert there(report.variant("v2")).compared_with == "v0"
    assert there(report.variant("v2")).against_baseline is not None


def test_a_baseline_trained_as_long_that_was_measured_on_other_data_is_not_compared_with_and_that_is_said(
    make: Make,
) -> None:
    made = make(variants=4, trained_alike={"v1": "v3", "v2": "v3"}, trained_unlike={}, controls=["v3"])
    assert there(measure(made)[0].variant("v1")).trained_unlike == ""
    stale = msgspec.structs.replace(made.variants["v3"], data="f" * 64)
    report, _ = measure(msgspec.structs.replace(made, variants={**made.variants, "v3": stale}))
    assert there(report.variant("v1")).compared_with == "v0"
    assert there(report.variant("v1")).trained_unlike == "v3 is not measured on the same data"
    assert there(report.variant("v3")).trained_unlike == ""


def test_a_history_that_is_none_is_left_out(make: Make) -> None:
    made = make()
    file = Path(made.artifacts["train:net"]) / "history.json"
    file.write_text('{"loss": [1, 2], "note": "text", "lengths": [1], "nested": [[1]]}')
    report, _ = measure(made)
    assert report.curves[0].figures == {"loss": (1.0, 2.0)}
    assert report.curves[0].epochs == (1.0, 2.0)
    for other in ('{"note": "text"}', "[1, 2]", "no JSON"):
        file.write_text(other)
        assert measure(made)[0].curves == ()


@pytest.mark.parametrize(
    ("state", "failure", "why"),
    [
        ("stale", "", "select:project, which picked v1, is stale (gate min_accuracy: 0.5 -> 0.9)"),
        ("maybe", "", "select:project, which picked v1, may be stale (gate min_accuracy: 0.5 -> 0.9)"),
        ("stale", "no variant meets every gate\n  more", "select:project failed: no variant meets every gate"),
    ],
)
def test_what_an_earlier_build_selected_ships_no_more(make: Make, state: str, failure: str, why: str) -> None:
    made = make()
    report, _ = measure(with_state(made, "select:project", state, failure))
    assert (report.shipped, report.not_shipped) == (None, why)
    assert report.notes[0] == f"nothing ships: {why}"
    assert measure(made)[0].shipped == "v1"


def test_figures_and_an_image_of_before_are_marked(make: Make) -> None:
    made = with_state(with_state(make(), "evaluate:v2", "stale"), "image:project", "maybe")
    report, _ = measure(made)
    assert [one.state for one in report.variants] == ["up-to-date", "up-to-date", "stale", "up-to-date"]
    assert (there(report.image).state, report.state("evaluate:v2"), report.state("nothing")) == (
        "maybe",
        "stale",
        "missing",
    )
