"""What the templates are given; what they make of it is in test_write.py."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from modelyard.metrics import Metric
from modelyard.report import page
from modelyard.report.facts import (
    ClassFacts,
    CurveFacts,
    DatasetSummary,
    Interval,
    Origin,
    OutputSummary,
    Report,
    StageFacts,
)
from modelyard.report.material import Material
from modelyard.report.page import functions, graph, lay_out
from modelyard.variants.evaluation import Latency, Measured
from modelyard_plugins.tasks.classification import ACCURACY
from tests.report.reports import report_of, variant
from tests.shared import there
from tests.tasks import evaluation

Measuring = Callable[..., tuple[Report, Material]]

NOTHING = Material(dataset=None, data="", measured={}, measured_on={}, answers={})


def with_details(material: Material, name: str, details: dict[str, Any]) -> Material:
    one = material.measured[name]
    evaluation = msgspec.structs.replace(one.evaluation, details=one.evaluation.details | details)
    other = type(one)(evaluation, one.latency, one.folder)
    return msgspec.structs.replace(material, measured={**material.measured, name: other})


def test_a_report_on_nothing_has_nothing_to_show() -> None:
    made = lay_out(report_of(), NOTHING)
    assert (made.baseline, made.shipped, made.focus, made.quality, made.classes) == (None,) * 5
    assert (made.size_plot, made.latency_plot, made.columns, made.matrices, made.curves) == ("", "", [], [], [])
    assert (made.examples, made.tools, made.left_out) == ({}, {}, {"matrices": 0, "curves": 0})
    assert made.reference == "float32"


def test_one_variant_alone_is_shown_without_plots(measured: Measuring) -> None:
    report, material = measured(variants=1, shipped="v0", built=("dataset", "evaluate", "select"), samples=40)
    made = lay_out(report, material)
    assert made.baseline is made.shipped is made.focus is report.variants[0]
    assert (made.size_plot, made.latency_plot, there(made.classes).plot) == ("", "", "")
    assert there(made.quality).name == "accuracy"
    assert [one.name for one in made.columns] == [one.name for one in report.variants[0].metrics]
    (matrix,) = made.matrices
    assert (matrix.of, matrix.picture, matrix.names) == ("", "", ["cat", "dog", "bird", "frog"])
    for row in matrix.rows:
        assert sum(count for count, _ in row) == 10
        assert all(share == count / 10 for count, share in row)
    assert matrix.confusions == report.variants[0].confusions
    table = there(made.classes)
    assert (table.names, table.samples) == (matrix.names, [10] * 4)
    assert [one.values for one in table.columns] == [list(report.variants[0].per_class)], "in the order of the labels"


@pytest.mark.parametrize(("classes", "is_picture"), [(16, False), (17, True)])
def test_a_matrix_of_many_classes_is_a_picture(measured: Measuring, classes: int, is_picture: bool) -> None:
    names = tuple(f"c{number}" for number in range(classes))
    report, material = measured(variants=1, built=("evaluate",), class_names=names)
    (matrix,) = lay_out(report, material).matrices
    assert (bool(matrix.picture), bool(matrix.rows)) == (is_picture, not is_picture)
    assert matrix.confusions


def test_matrices_of_outputs_and_test_sets_come_behind_and_of_many_the_first_are_shown(measured: Measuring) -> None:
    report, material = measured(variants=1, built=("evaluate",))
    own = {"class_names": ["a", "b"], "confusion": [[1, 0], [0, 0]]}
    more = with_details(material, "v0", {"test_sets": {f"set{number}": own for number in range(9)}})
    made = lay_out(report, more)
    assert [one.of for one in made.matrices] == ["", *(f"the test set set{number}" for number in range(7))]
    assert made.left_out == {"matrices": 2, "curves": 0}
    assert made.matrices[1].rows == [[(1, 1.0), (0, 0.0)], [(0, 0.0), (0, 0.0)]], "a class without samples has shares"


def test_what_ships_is_looked_at_and_else_the_first_beside_the_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("float32", "slow", "int8", "fast")
    variants = [variant(name, ACCURACY.of(0.9), is_pareto=name == "fast") for name in names]
    seen: list[list[str]] = []
    monkeypatch.setattr(page, "_classes", lambda *known: seen.append([one.name for one in known[-1]]))
    monkeypatch.setattr(page, "against_cost", lambda *known: f"{known[2]} of {len(known[0])}")
    measured = {name: measured_nothing() for name in names}
    material = msgspec.structs.replace(NOTHING, measured=measured)
    shipping = lay_out(report_of(*variants, shipped="int8"), material)
    assert (there(shipping.baseline).name, there(shipping.focus).name) == ("float32", "int8")
    assert (shipping.size_plot, shipping.latency_plot) == ("size of 4", "latency of 4")
    nothing = lay_out(report_of(*variants), material)
    assert (nothing.shipped, there(nothing.focus).name) == (None, "slow")
    assert seen == [["float32", "int8", "fast", "slow"], ["float32", "slow", "fast", "int8"]]


def measured_nothing() -> Measured:
    latency = Latency(p50_ms=1.0, p99_ms=2.0, mean_ms=1.0, samples=9, warmup=1)
    return Measured(msgspec.structs.replace(evaluation(accuracy=1, size=1, gzip=1), details={}), latency)


def test_each_training_has_a_baseline_of_its_own_or_all_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    variants = [variant("a", ACCURACY.of(0.5), baseline="a"), variant("b", ACCURACY.of(0.5), baseline="b")]
    material = msgspec.structs.replace(NOTHING, measured={"a": measured_nothing(), "b": measured_nothing()})
    monkeypatch.setattr(page, "against_cost", lambda *known: "")
    assert lay_out(report_of(*variants, baseline="a"), material).reference == "the baseline"
    assert lay_out(report_of(variants[0], baseline="a"), material).reference == "a"


def test_the_quality_is_that_of_what_ships_or_of_what_is_up_to_date() -> None:
    old = variant("a", Metric(name="mae", better="lower", value=1.0), state="stale")
    new = variant("b", ACCURACY.of(0.5))
    assert there(page._quality([old, new], None)).name == "accuracy"
    assert there(page._quality([old, new], old)).name == "mae"
    assert there(page._quality([old], None)).name == "mae"


@pytest.mark.parametrize(
    ("name", "more", "kind"),
    [
        ("float32", {"is_pareto": True}, "baseline"),
        ("int8", {"misses": ("max_size",), "is_pareto": True}, "shipped"),
        ("pruned", {"misses": ("max_size",), "is_pareto": True}, "misses"),
        ("pruned", {"is_pareto": True}, "front"),
        ("pruned", {}, "other"),
    ],
)
def test_a_point_is_of_the_weightiest_kind_that_holds(name: str, more: dict[str, Any], kind: str) -> None:
    one = variant(name, ACCURACY.of(0.5), **more)
    point = page._point(report_of(one, shipped="int8"), one, one.metrics[0], 3.0, Interval(value=3.0, low=2.0))
    assert (point.kind, point.cost, point.quality, point.low, point.high) == (kind, 3.0, 0.5, 2.0, None)


def test_of_many_classes_those_that_change_most_are_drawn_the_worst_first() -> None:
    few = [("a", 0.1), ("b", -0.5)]
    assert page._far_ones(few) == few
    many = [(f"c{number}", (number - 10) / 100) for number in range(30)]
    far = page._far_ones(many)
    assert len(far) == 24
    assert [change for _, change in far] == sorted(change for _, change in far)
    assert {name for name, _ in many} - {name for name, _ in far} == {f"c{number}" for number in range(8, 14)}


def test_classes_are_those_of_the_output_that_the_quality_is_of() -> None:
    whole, side = (ClassFacts(name="cat", train=1, test=1),), (ClassFacts(name="left", train=2, test=2),)
    outputs = (OutputSummary(name="side", classes=side),)
    summary = DatasetSummary(
        stage="dataset:d", input_shape=(2,), dtype="uint8", train=3, test=3, classes=whole, outputs=outputs
    )
    of_side = msgspec.structs.replace(ACCURACY, name="side_accuracy")
    assert page._counted(summary, of_side) == side
    assert page._counted(summary, ACCURACY) == whole
    assert page._counted(None, ACCURACY) == ()


def test_a_class_that_one_side_did_not_measure_has_no_change() -> None:
    assert page._changes({"a": 0.5, "b": None, "c": 0.5}, {"a": 0.75, "b": 0.5, "c": None}) == [("a", 0.25)]


def test_a_long_training_is_a_table_of_some_epochs_and_the_last() -> None:
    epochs = tuple(float(number) for number in range(1, 101))
    facts = CurveFacts(stage="train:n", epochs=epochs, figures={"loss": (None, *epochs[1:]), "acc": epochs})
    curve = page._curve(facts, "c")
    assert (curve.heads, curve.step) == (["acc", "loss"], 3)
    assert curve.rows[:2] == [["1", "1", "n/a"], ["4", "4", "4"]]
    assert curve.rows[-1] == ["100", "100", "100"]
    assert len(curve.rows) == 34
    assert curve.plot.startswith("<svg")


def test_the_graph_has_each_stage_with_its_time_and_no_edge_that_another_way_implies() -> None:
    def stage(name: str, duration_s: float | None, *reads: str, failure: str = "") -> StageFacts:
        return StageFacts(
            stage=name,
            state="up-to-date",
            how="built",
            touched=False,
            started="",
            duration_s=duration_s,
            digest="",
            reads=reads,
            failure=failure,
        )

    root = ET.fromstring(
        graph([stage("a:x", 2.5), stage("b:x", None, "a:x"), stage("c:x", 3.0, "a:x", "b:x", failure="no memory")])
    )
    texts = " ".join("".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text"))
    assert [name in texts for name in ("a:x", "b:x", "c:x", "2.5\u00a0s", "failed", "3.0")] == [True] * 5 + [False]
    assert len(root.findall("{http://www.w3.org/2000/svg}path")) == 2


def test_tools_are_listed_once_however_their_names_are_written() -> None:
    def origin(**tools: str) -> Origin:
        none: dict[str, Any] = {name: {} for name in ("components", "parameters", "files", "code")}
        return Origin(stage="train:n", key="", digest="", commit="", clean=None, tools=tools, **none)

    report = report_of(origins=(origin(tf_keras="2.18", numpy="2.1"), origin(**{"tf-keras": "2.18", "NumPy": "2.0"})))
    assert page._tools(report) == {"numpy": ["2.0", "2.1"], "tf-keras": ["2.18"]}


def test_templates_are_given_functions_that_write_numbers() -> None:
    known = functions()
    assert known["percent"](0.5) == "50.00\u00a0%"
    assert all(callable(one) for one in known.values())
    assert all(one.__doc__ for one in known.values())
