"""How one metric differs between two reports; the comparison of whole reports is in test_compare.py."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.metrics import Metric
from modelyard.metrics.standard import LATENCY_P50
from modelyard.report.compare import compare
from modelyard.report.compare_metrics import NOISE, GroupChange, Intervals, MetricChange, Pair, metric_changes
from modelyard.report.facts import Interval, Report
from tests.report.reports import change, measure, variant
from tests.report.test_compare import of_v1
from tests.shared import there


def metric(value: float, **more: Any) -> Metric:
    return Metric(**{"name": "accuracy", "better": "higher", "unit": "fraction", "value": value, **more})


def changed(old: Metric, new: Metric) -> MetricChange:
    (found,) = metric_changes(variant("a", old), variant("a", new))
    return found


NUMBER = st.floats(-100, 100)
INTERVAL = st.lists(NUMBER, min_size=2, max_size=2).map(sorted).map(tuple)


@given(NUMBER, NUMBER, INTERVAL, INTERVAL, st.booleans(), st.sampled_from(["higher", "lower"]))
def test_a_change_the_other_way_round_means_the_opposite(
    old: float, new: float, before: Any, after: Any, steady: bool, better: Any
) -> None:
    one = metric(old, interval=before, steady=steady, better=better)
    other = metric(new, interval=after, steady=steady, better=better)
    there_, back = changed(one, other), changed(other, one)
    opposite = {"better": "worse", "worse": "better"}
    assert back.verdict == opposite.get(there_.verdict, there_.verdict)
    assert (back.value, back.value.rise) == (Pair(new, old), -there_.value.rise)
    assert there_.is_told is back.is_told
    assert changed(one, one).verdict == "same"


@pytest.mark.parametrize(
    ("old", "new", "verdict", "is_told"),
    [
        (metric(0.5), metric(0.5), "same", False),
        (metric(0.5), metric(0.500001), "better", True),
        (metric(0.5, better="lower"), metric(0.6, better="lower"), "worse", True),
        (metric(0.5, interval=(0.4, 0.6)), metric(0.6, interval=(0.6, 0.7)), "undecided", True),
        (metric(0.5, interval=(0.4, 0.6)), metric(0.7, interval=(0.61, 0.8)), "better", True),
        (metric(0.5, interval=(None, 0.6)), metric(0.55, interval=(0.4, 0.6)), "better", True),
        (LATENCY_P50.of(1.0), LATENCY_P50.of(1 - NOISE), "undecided", False),
        (LATENCY_P50.of(1.0), LATENCY_P50.of(1.34), "worse", True),
        (LATENCY_P50.of(1.0), LATENCY_P50.of(0.74), "better", True),
        (LATENCY_P50.of(1.0, (0.5, 3.0)), LATENCY_P50.of(9.0, (2.0, 9.0)), "undecided", False),
    ],
)
def test_a_change_is_sure_or_may_be_chance(old: Metric, new: Metric, verdict: str, is_told: bool) -> None:
    found = changed(old, new)
    assert (found.verdict, found.is_told) == (verdict, is_told)


def test_metrics_stand_in_the_order_of_the_second_and_those_of_the_first_alone_behind() -> None:
    old = variant("a", metric(1, name="gone"), metric(1, name="both"))
    new = variant("a", metric(1, name="new"), metric(1, name="both"))
    found = list(metric_changes(old, new))
    assert [(one.name, one.verdict) for one in found] == [("new", "new"), ("both", "same"), ("gone", "gone")]
    assert [one.value for one in found] == [Pair(None, 1), Pair(1, 1), Pair(1, None)]
    assert found[0].interval == Intervals(None, None)
    assert [one.verdict for one in metric_changes(old, None)] == ["gone", "gone"]
    assert [one.verdict for one in metric_changes(None, new)] == ["new", "new"]
    assert list(metric_changes(None, None)) == []


def test_a_metric_whose_better_side_changed_is_two() -> None:
    found = metric_changes(variant("a", metric(1)), variant("a", metric(1, better="lower")))
    assert [(one.better, one.verdict) for one in found] == [("lower", "new"), ("higher", "gone")]


def test_groups_of_both_that_differ_are_told_the_worst_first() -> None:
    before = {"cat": 0.5, "dog": 0.5, "owl": 0.5, "old": 0.5, "none": None}
    after = {"owl": 0.7, "cat": 0.4, "dog": 0.5, "new": 0.1, "none": 0.3}
    found = changed(metric(0.5, per_group=before), metric(0.6, per_group=after))
    assert found.groups == (
        GroupChange(name="cat", value=Pair(0.5, 0.4)),
        GroupChange(name="none", value=Pair(None, 0.3)),
        GroupChange(name="owl", value=Pair(0.5, 0.7)),
    )
    lower = changed(metric(0.5, better="lower", per_group=before), metric(0.6, better="lower", per_group=after))
    assert [one.name for one in lower.groups] == ["owl", "none", "cat"]


def test_intervals_overlap_if_all_ends_are_known_and_they_share_a_value() -> None:
    assert Intervals((1, 2), (2, 3)).overlap
    assert Intervals((0, 9), (2, 3)).overlap
    assert not Intervals((1, 2), (2.1, 3)).overlap
    assert not Intervals((1, None), (0, 9)).overlap
    assert not Intervals(None, (0, 9)).overlap


def test_a_change_says_what_is_measured_as_the_metric_does() -> None:
    one = metric(0.5, title="Top-1", group="class", steady=False, detail=0)
    found = changed(one, one)
    same = {"name", "unit", "better", "steady", "group"}
    assert {name: getattr(found.quantity, name) for name in same} == {name: getattr(one, name) for name in same}
    assert (found.title, found.quantity.head, found.detail) == ("Top-1", "Top-1", 0)


def test_a_variant_of_the_oldest_version_has_its_fields_as_metrics() -> None:
    oldest = variant("a", accuracy=0.5, class_names=("cat", "dog"), per_class=(0.25, None), latency_ratio=None)
    found = {one.name: one for one in metric_changes(oldest, None)}
    assert {name: one.value.a for name, one in found.items()} == {
        "accuracy": 0.5,
        "size": 2000,
        "gzip_size": 1000,
        "latency_p50": 1.0,
        "latency_p99": 2.0,
        "latency_ratio": 1.0,
    }
    compared = variant("a", layer_bytes=5, latency_ratio=Interval(value=0.5, low=0.4))
    later = {one.name: one for one in metric_changes(None, compared)}
    assert "accuracy" not in later
    assert (later["layer_size"].value.b, later["latency_ratio"].interval.b) == (5, (0.4, None))


def test_a_report_of_a_version_that_had_no_metrics_has_the_same_in_its_fields(report: Report) -> None:
    older = msgspec.structs.replace(
        report, variants=tuple(msgspec.structs.replace(one, metrics=()) for one in report.variants)
    )
    diff = compare(older, report)
    assert [one.name for one in diff.variants[1].metrics] == [one.name for one in there(report.variant("v1")).metrics]
    assert not any(one.differs for one in diff.variants)
    worse = change(older, "v1", accuracy=0.5)
    assert of_v1(compare(report, worse), "accuracy").verdict == "worse"


def test_a_metric_whose_unit_changed_is_two_that_are_not_compared(report: Report) -> None:
    later = measure(report, "v1", "accuracy", unit="", value=87.5)
    found = [one for one in compare(report, later).variants[1].metrics if one.name == "accuracy"]
    assert [(one.unit, one.verdict) for one in found] == [("", "new"), ("fraction", "gone")]
