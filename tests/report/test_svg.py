from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from modelyard.report.svg import PAINTS, inline, printable

SVG = "{http://www.w3.org/2000/svg}"


def drawn() -> Figure:
    figure = Figure(figsize=(2, 1))
    axes = figure.add_subplot()
    axes.plot([0, 1, 2], [1, 3, 2], "o-", color=PAINTS["accent"], clip_on=True)
    axes.set_xlabel("cost < 1 & more", color=PAINTS["ink"])
    return figure


@pytest.fixture(scope="module")
def root() -> Iterator[ET.Element]:
    return ET.fromstring(inline(drawn(), "one", "A title", "What <it> shows"))  # type: ignore[return-value]


def test_it_has_a_name_a_description_and_the_size_of_its_box(root: ET.Element) -> None:
    assert root.tag == f"{SVG}svg"
    assert (root.get("role"), root.get("class"), root.get("viewBox")) == ("img", "plot", "0 0 144 72")
    assert root.get("aria-labelledby") == "one-title one-desc"
    assert [(child.tag, child.get("id"), child.text) for child in root][:2] == [
        (f"{SVG}title", "one-title", "A title"),
        (f"{SVG}desc", "one-desc", "What <it> shows"),
    ]
    assert {"width", "height", "version"}.isdisjoint(root.attrib)


def test_text_is_text_in_the_pages_own_fonts(root: ET.Element) -> None:
    assert "cost < 1 & more" in ["".join(one.itertext()) for one in root.iter(f"{SVG}text")]
    assert not [one for one in root.iter() if "font-family" in one.get("style", "")]


def test_ids_are_those_that_something_refers_to_under_the_prefix(root: ET.Element) -> None:
    text = ET.tostring(root, encoding="unicode")
    ids = [one.attrib["id"] for one in root.iter() if "id" in one.attrib]
    referred = {*re.findall(r"url\(#([^)]+)\)", text), *re.findall(r'href="#([^"]+)"', text)}
    assert referred
    assert sorted(ids) == sorted({*referred, "one-title", "one-desc"})
    assert all(one.startswith("one-") for one in ids)


def test_colours_are_the_pages_and_nothing_has_a_date_or_a_style_sheet(root: ET.Element) -> None:
    text = ET.tostring(root, encoding="unicode")
    assert not [colour for colour in PAINTS.values() if colour in text]
    assert {"var(--accent)", "var(--ink)"} <= set(re.findall(r"var\(--[a-z]+\)", text))
    assert {f"{SVG}metadata", f"{SVG}style"}.isdisjoint(one.tag for one in root.iter())


def test_the_same_figure_is_the_same_text() -> None:
    assert inline(drawn(), "a", "t", "d") == inline(drawn(), "a", "t", "d")


@given(st.text())
def test_any_text_can_stand_in_xml(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert printable(shown) == shown
    assert "".join(ET.fromstring(f"<a>{shown.replace('&', '&amp;').replace('<', '&lt;')}</a>").itertext()) == shown


def test_what_can_be_printed_stays() -> None:
    assert printable("ä €\t\x00b\n") == "ä €\ufffd\ufffdb\ufffd"
