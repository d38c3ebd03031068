from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from modelyard.report.facts import CurveFacts
from modelyard.report.plots import Point, against_cost, class_changes, curves, panels_of
from modelyard_plugins.tasks.classification import ACCURACY

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def points(count: int) -> list[Point]:
    kinds = ["shipped", "baseline", *(["other"] * count)]
    return [Point(name=f"variant-{n}", cost=10 + n, quality=0.9 + n / 1000, kind=kinds[n]) for n in range(count)]


def test_a_plot_has_a_name_text_as_text_and_the_pages_colours() -> None:
    svg = against_cost(points(3), ACCURACY, "size", "size, kB", "Accuracy against size")
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "size-title size-desc"
    assert root.findtext(f"{SVG}title") == "Accuracy against size"
    assert "Best accuracy: variant-2" in root.findtext(f"{SVG}desc", "")
    assert {"variant-0", "variant-1", "variant-2", "size, kB", "accuracy"} <= set(texts(svg))
    assert "var(--accent)" in svg
    assert re.findall(r"#[0-9a-f]{6}", svg) == []
    assert root.find(f".//{SVG}style") is None
    assert root.get("width") is None


def test_two_plots_share_no_id() -> None:
    found = [
        set(re.findall(r'\bid="([^"]+)"', against_cost(points(3), ACCURACY, name, "x", "t"))) for name in ("one", "two")
    ]
    assert found[0]
    assert found[0].isdisjoint(found[1])


def test_every_reference_of_a_plot_has_its_target() -> None:
    svg = curves(CurveFacts(stage="train:x", epochs=(1.0, 2.0), figures={"loss": (1.0, 0.5)}), "c")
    ids = set(re.findall(r'\bid="([^"]+)"', svg))
    assert {*re.findall(r"url\(#([^)]+)\)", svg), *re.findall(r'href="#([^"]+)"', svg)} <= ids


def test_names_of_many_points_hide_none_of_those_that_matter() -> None:
    found = texts(against_cost(points(50), ACCURACY, "size", "size", "t"))
    assert "variant-0" in found
    assert "variant-1" in found


def test_a_wide_range_of_costs_is_logarithmic() -> None:
    wide = [Point(name=f"v{n}", cost=10.0**n, quality=0.9, kind="other") for n in range(4)]
    found = texts(against_cost(wide, ACCURACY, "x", "x", "t"))
    assert {"10", "100"} <= set(found)
    assert not any("$" in text for text in found)


@pytest.mark.parametrize("name", ["$\\alpha_1$", "a_b^c", '<x> & "y"', "名前", "n" * 60, "$", "\x01\n"])
def test_any_name_is_text_and_no_formula(name: str) -> None:
    found = texts(against_cost([Point(name=name, cost=1, quality=0.5, kind="shipped")], ACCURACY, "x", "x", "t"))
    shown = {"n" * 60: "n" * 23 + "…", "\x01\n": "\ufffd\ufffd"}.get(name, name)
    assert shown in found
    assert shown in texts(class_changes([name], [1.0], ACCURACY, "y", "t"))


def test_panels_are_loss_then_accuracy_each_with_its_validation() -> None:
    values = (1.0, 2.0)
    facts = CurveFacts(stage="s", epochs=values, figures=dict.fromkeys(("accuracy", "val_loss", "loss", "lr"), values))
    assert [(name, val is not None) for name, _, val in panels_of(facts)] == [
        ("loss", True),
        ("accuracy", False),
        ("lr", False),
    ]


def test_a_curve_with_gaps_and_one_epoch_is_drawn() -> None:
    assert curves(CurveFacts(stage="s", epochs=(1.0,), figures={"loss": (None,), "val_x": (1.0,)}), "c")


def test_changes_are_signed_and_named() -> None:
    found = texts(class_changes(["cat", "dog", "owl"], [0.0125, -0.03, 0.0], ACCURACY, "c", "t"))
    assert {"cat", "dog", "owl", "+1.2", "\N{MINUS SIGN}3.0", "0"} <= set(found)
