from __future__ import annotations

import msgspec
import pytest

from modelyard.report.compare import LATENCY_NOISE, SCHEMA, Pair, compare, is_slower_or_faster
from modelyard.report.compare_text import markdown
from modelyard.report.facts import Interval


@pytest.fixture
def report(measured):
    return measured()[0]


def change(report, variant: str, **fields):
    """Return the report with other fields of one variant."""
    variants = [msgspec.structs.replace(v, **fields) if v.name == variant else v for v in report.variants]
    return msgspec.structs.replace(report, variants=tuple(variants))


def test_equal_reports_differ_in_nothing(report):
    diff = compare(report, report)
    assert diff.schema == SCHEMA
    assert not any(one.differs for one in diff.variants)
    assert "Nothing differs" in markdown(diff)


def test_a_report_without_matrices_of_an_older_version_is_compared_by_what_it_has(report):
    older = msgspec.structs.replace(
        report, variants=tuple(msgspec.structs.replace(one, confusion_matrix=None) for one in report.variants)
    )
    assert compare(older, report) == compare(report, report)


def test_a_change_is_told_with_both_values_and_its_size(report):
    later = change(report, "v1", accuracy=0.9, gzip_bytes=60_000)
    text = markdown(compare(report, later))
    assert "**v1** ships, as before: accuracy 87.50\u00a0% → 90.00\u00a0% (+2.50 points)" in text
    assert "75.0\u00a0kB → 60.0\u00a0kB (\N{MINUS SIGN}20.0 %) after gzip" in text
    assert "3 more variants are the same." in text
    assert "| v0 " not in text


def test_another_variant_ships(report):
    later = msgspec.structs.replace(report, shipped="v2")
    diff = compare(report, later)
    assert (diff.a.shipped, diff.b.shipped, diff.shipped.name) == ("v1", "v2", "v2")
    assert diff.shipped.accuracy == Pair(report.variant("v1").accuracy, report.variant("v2").accuracy)
    assert "**v2** ships; before it was v1" in markdown(diff)


@pytest.mark.parametrize(
    ("shipped", "words"), [(None, "**Nothing ships**; before it was v1"), ("v1", "before it was nothing")]
)
def test_nothing_shipped_on_one_side(report, shipped, words):
    without = msgspec.structs.replace(report, shipped=None)
    text = markdown(compare(report, without) if shipped is None else compare(without, report))
    assert words in text


def test_variants_that_came_and_went(report):
    fewer = msgspec.structs.replace(report, variants=report.variants[:2])
    gone, come = compare(report, fewer), compare(fewer, report)
    assert [one.name for one in gone.variants] == ["v0", "v1", "v2", "v3"]
    assert gone.variants[3].accuracy.b is None
    assert "v3 (gone)" in markdown(gone)
    assert "v3 (new)" in markdown(come)


def test_classes_are_matched_by_name_and_the_worst_is_first(report):
    one = report.variant("v1")
    later = change(
        report, "v1", class_names=("dog", "cat", "bird", "owl"), per_class=(0.1, one.per_class[0], 0.99, None)
    )
    classes = compare(report, later).shipped.classes
    assert [c.name for c in classes] == ["dog", "bird"]
    assert classes[0].accuracy == Pair(one.per_class[1], 0.1)
    assert "| dog " in markdown(compare(report, later))


def test_a_latency_within_the_noise_is_not_told(report):
    def at(ms):
        return change(report, "v1", p50_ms=Interval(value=ms))

    inside, outside = 0.021 * (1 + LATENCY_NOISE / 2), 0.021 * 3
    assert "Nothing differs" in markdown(compare(report, at(inside)))
    assert "0.021\u00a0ms → 0.063\u00a0ms (+200.0 %)" in markdown(compare(report, at(outside)))
    assert is_slower_or_faster(Pair(1.0, 2.0))
    assert is_slower_or_faster(Pair(2.0, 1.0))
    assert not is_slower_or_faster(Pair(None, None))


def test_a_gate_that_is_missed_now_is_told(report):
    later = change(report, "v1", misses=("max_size: 9 bytes are more than 8",))
    text = markdown(compare(report, later))
    assert "max\\_size: 9 bytes are more than 8" in text
    assert "met again" in markdown(compare(later, report))


def test_the_image_and_its_layers(report):
    layers = (
        msgspec.structs.replace(report.image.layers[0], digest="sha256:new", size_bytes=4_000_000),
        report.image.layers[1],
    )
    image = msgspec.structs.replace(report.image, digest="sha256:new", size_bytes=4_020_000, layers=layers)
    diff = compare(report, msgspec.structs.replace(report, image=image))
    assert [one.name for one in diff.layers] == ["base"]
    assert (
        "Image: 3.0\u00a0MB → 4.0\u00a0MB (+33.1 %); layers that changed: base 3.0\u00a0MB → 4.0\u00a0MB"
        in markdown(diff)
    )
    assert compare(report, msgspec.structs.replace(report, image=None)).image_bytes == Pair(3_020_000, None)


def test_what_they_were_made_of_is_told_once_for_all_stages(report):
    def other(one):
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
    assert "**the data of dataset:data differ**: accuracies are of other samples" in text
    assert f"- tool numpy: 2.0 → 2.1 ({len(report.origins)} stages)" in text
    assert "- parameter epochs: 3 → 5 (train:net)" in text
    assert "- code of trainer changed (evaluate:v1)" in text


def test_new_notes_are_told(report):
    later = msgspec.structs.replace(report, notes=("no *variant*",))
    assert "- note on b: no \\*variant\\*" in markdown(compare(report, later))


def test_names_cannot_break_the_table(report):
    later = change(report, "v1", accuracy=0.9, name="a|b`<i>")
    rows = [line for line in markdown(compare(report, later)).splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
