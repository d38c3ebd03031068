from __future__ import annotations

import msgspec
import pytest

from modelyard.metrics import Metric
from modelyard.report.compare import SCHEMA, ReportDiff, compare
from modelyard.report.compare_metrics import NOISE, Intervals, MetricChange, Pair
from modelyard.report.compare_text import markdown
from modelyard.report.facts import Origin, Report
from tests.report.reports import change, measure, row, without
from tests.shared import there


def of_v1(diff: ReportDiff, name: str) -> MetricChange:
    """Return what became of a metric of `v1`."""
    return there(diff.variants[1].metric(name))


def of_shipped(diff: ReportDiff, name: str) -> MetricChange:
    """Return what became of a metric of the variant that ships."""
    return there(there(diff.shipped).metric(name))


def test_equal_reports_differ_in_nothing(report: Report) -> None:
    diff = compare(report, report)
    assert diff.schema == SCHEMA
    assert not any(one.differs for one in diff.variants)
    assert "Nothing differs" in markdown(diff)


def test_a_report_without_matrices_of_an_older_version_is_compared_by_what_it_has(report: Report) -> None:
    older = msgspec.structs.replace(
        report, variants=tuple(msgspec.structs.replace(one, confusion_matrix=None) for one in report.variants)
    )
    assert compare(older, report) == compare(report, report)


def test_a_quality_within_its_interval_is_told_and_undecided(report: Report) -> None:
    later = measure(report, "v1", "accuracy", value=0.9, interval=(0.83, 0.94))
    found = of_v1(compare(report, later), "accuracy")
    assert (found.verdict, found.is_told) == ("undecided", True)
    assert "90.00\u00a0% (83.00\u00a0% to 94.00\u00a0%)" in row(markdown(compare(report, later)), "v1")
    far = measure(report, "v1", "accuracy", value=0.2, interval=(0.1, 0.3))
    assert of_v1(compare(report, far), "accuracy").verdict == "worse"


RMSE = Metric(name="rmse", better="lower", value=45_530.0, title="RMSE", interval=(40_000.0, 51_000.0), sampled=True)


def test_any_metric_is_compared_by_its_own_unit_and_better_side(report: Report) -> None:
    def having(value: float, interval: tuple[float, float]) -> Report:
        error = msgspec.structs.replace(RMSE, value=value, interval=interval)
        rate = Metric(name="throughput", better="higher", unit="per second", value=value / 10, steady=False)
        return change(report, "v1", metrics=(error, rate), accuracy=None)

    diff = compare(having(45_530.0, (40_000.0, 51_000.0)), having(20_000.0, (18_000.0, 22_000.0)))
    assert [(m.name, m.unit, m.better, m.verdict) for m in diff.variants[1].metrics] == [
        ("rmse", "", "lower", "better"),
        ("throughput", "per second", "higher", "worse"),
    ]
    assert of_shipped(diff, "rmse").interval == Intervals((40_000.0, 51_000.0), (18_000.0, 22_000.0))
    text = markdown(diff)
    assert "**v1** ships, as before: RMSE 45,530 → 20,000 (\N{MINUS SIGN}25,530)." in text
    assert row(text, "throughput")[2:] == ["4,553\u00a0/s", "2,000\u00a0/s", "\N{MINUS SIGN}56.1 %", "worse"]
    assert "ccuracy" not in text


@pytest.mark.parametrize(("verdict", "value"), [("gone", Pair(75_000, None)), ("new", Pair(None, 75_000))])
def test_a_metric_that_one_side_lacks_is_told(report: Report, verdict: str, value: Pair) -> None:
    lacking = without(report, "v1", "gzip_size")
    diff = compare(report, lacking) if verdict == "gone" else compare(lacking, report)
    found = of_shipped(diff, "gzip_size")
    assert (found.verdict, found.value) == (verdict, value)
    assert row(markdown(diff), "gzip")[-1] == verdict


def test_another_variant_ships(report: Report) -> None:
    later = msgspec.structs.replace(report, shipped="v2")
    diff = compare(report, later)
    assert (diff.a.shipped, diff.b.shipped, there(diff.shipped).name) == ("v1", "v2", "v2")
    accuracies = there(report.variant("v1")).accuracy, there(report.variant("v2")).accuracy
    assert of_shipped(diff, "accuracy").value == Pair(*accuracies)
    assert "**v2** ships; before it was v1" in markdown(diff)


def test_variants_that_came_and_went(report: Report) -> None:
    fewer = msgspec.structs.replace(report, variants=report.variants[:2])
    gone, come = compare(report, fewer), compare(fewer, report)
    assert [one.name for one in gone.variants] == ["v0", "v1", "v2", "v3"]
    assert (gone.variants[3].presence, come.variants[3].presence) == ("a", "b")
    assert {one.verdict for one in gone.variants[3].metrics} == {"gone"}
    assert "v3 (gone)" in markdown(gone)
    assert "v3 (new)" in markdown(come)


def test_classes_are_matched_by_name_and_the_worst_is_first(report: Report) -> None:
    before = there(there(there(report.variant("v1")).quality).per_group)
    after = {"dog": 0.1, "cat": before["cat"], "bird": 0.99, "owl": None}
    later = measure(report, "v1", "accuracy", per_group=after)
    classes = of_shipped(compare(report, later), "accuracy").groups
    assert [c.name for c in classes] == ["dog", "bird"]
    assert classes[0].value == Pair(before["dog"], 0.1)
    assert "Classes of the variant that ships whose accuracy changed:" in markdown(compare(report, later))
    assert row(markdown(compare(report, later)), "dog")[2] == "10.00\u00a0%"


def test_a_latency_within_the_noise_is_not_told(report: Report) -> None:
    def at(ms: float, interval: tuple[float, float] | None = None) -> Report:
        return measure(report, "v1", "latency_p50", value=ms, interval=interval)

    inside, outside = 0.021 * (1 + NOISE / 2), 0.021 * 3
    assert "Nothing differs" in markdown(compare(report, at(inside)))
    assert of_v1(compare(report, at(inside)), "latency_p50").verdict == "undecided"
    assert "0.021\u00a0ms → 0.063\u00a0ms (+200.0 %)" in markdown(compare(report, at(outside)))
    assert "Nothing differs" in markdown(compare(report, at(outside, (0.02, 0.2))))
    assert of_v1(compare(at(outside), report), "latency_p50").verdict == "better"


def test_a_gate_that_is_missed_now_is_told(report: Report) -> None:
    later = change(report, "v1", misses=("max_size: 9 bytes are more than 8",))
    text = markdown(compare(report, later))
    assert "max\\_size: 9 bytes are more than 8" in text
    assert "met again" in markdown(compare(later, report))


def test_the_image_and_its_layers(report: Report) -> None:
    before = there(report.image)
    layers = (
        msgspec.structs.replace(before.layers[0], digest="sha256:new", size_bytes=4_000_000),
        before.layers[1],
    )
    image = msgspec.structs.replace(before, digest="sha256:new", size_bytes=4_020_000, layers=layers)
    diff = compare(report, msgspec.structs.replace(report, image=image))
    assert [one.name for one in diff.layers] == ["base"]
    assert (
        "Image: 3.0\u00a0MB → 4.0\u00a0MB (+33.1 %); layers that changed: base 3.0\u00a0MB → 4.0\u00a0MB"
        in markdown(diff)
    )
    assert compare(report, msgspec.structs.replace(report, image=None)).image_bytes == Pair(3_020_000, None)


def test_what_they_were_made_of_is_told_once_for_all_stages(report: Report) -> None:
    def other(one: Origin) -> Origin:
        parameters = {"epochs": 5, "path": None} if one.stage == "train:net" else one.parameters
        digest = "f" * 64 if one.stage == "dataset:data" else one.digest
        code = {"trainer": "e" * 64} if one.stage == "evaluate:v1" else one.code
        return msgspec.structs.replace(one, parameters=parameters, digest=digest, code=code, tools={"numpy": "2.1"})

    later = msgspec.structs.replace(report, origins=tuple(map(other, report.origins)))
    diff = compare(report, later)
    assert [(c.kind, c.name, len(c.stages)) for c in diff.origins] == [
        ("data", "dataset:data", 1),
        ("tool", "numpy", len(report.origins)),
        ("parameter", "epochs", 1),
        ("code", "trainer", 1),
    ]
    text = markdown(diff)
    assert "**the data of dataset:data differ**: what was measured is of other samples" in text
    assert f"- tool numpy: 2.0 → 2.1 ({len(report.origins)} stages)" in text
    assert "- parameter epochs: 3 → 5 (train:net)" in text
    assert "- code of trainer changed (evaluate:v1)" in text
