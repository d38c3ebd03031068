"""Turn a Matplotlib figure into SVG that stands in a page: its text is text, its colours are the page's.

Matplotlib draws with the colours of `PAINTS`, each of which stands for a variable of the page's style sheet, so that
one picture serves the light and the dark page. Ids are kept only where something refers to them, under a prefix, as
several pictures share a page.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

PAINTS = {
    "ink": "#010203",
    "muted": "#010204",
    "line": "#010205",
    "accent": "#010206",
    "second": "#010207",
    "good": "#010208",
    "bad": "#010209",
    "paper": "#01020a",
}
"""Colours that no picture has, by the variable that takes their place."""

_SVG = "http://www.w3.org/2000/svg"
_DROPPED = (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style")
"""Dates, and a style sheet that would reach into the page."""
_XLINK = "{http://www.w3.org/1999/xlink}href"
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_FAMILY = re.compile(r"font-family:[^;]*;?\s*")
_SETTINGS: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "modelyard"}


def inline(figure: Figure, name: str, title: str, description: str) -> str:
    """Return `figure` as an `<svg>` element, the same text for the same figure.

    Args:
        figure: drawn with the colours of `PAINTS` alone.
        name: prefix of its ids, unique in the page.
        title: its accessible name.
        description: what it shows, in words.
    """
    root = _parse(figure)
    for parent in list(root.iter()):
        for child in [c for c in parent if c.tag in _DROPPED]:
            parent.remove(child)
    _rename(root, name)
    for element in root.iter():
        if "style" in element.attrib:
            element.set("style", _FAMILY.sub("", element.attrib["style"]))
    width, height = (root.attrib.pop(side).removesuffix("pt") for side in ("width", "height"))
    root.attrib.pop("version", None)
    root.set("viewBox", f"0 0 {width} {height}")
    root.set("role", "img")
    root.set("class", "plot")
    root.set("aria-labelledby", f"{name}-title {name}-desc")
    _describe(root, name, title, description)
    ET.register_namespace("", _SVG)
    text = ET.tostring(root, encoding="unicode")
    for variable, colour in PAINTS.items():
        text = text.replace(colour, f"var(--{variable})")
    return text


def _parse(figure: Figure) -> ET.Element:
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context(_SETTINGS):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return ET.fromstring(buffer.getvalue())


def _rename(root: ET.Element, name: str) -> None:
    """Number the ids that are referred to, in their order, and drop the others."""
    used = list(dict.fromkeys(_references(root)))
    new = {old: f"{name}-{number}" for number, old in enumerate(used)}
    for element in root.iter():
        old = element.attrib.pop("id", None)
        if old in new:
            element.set("id", new[old])
        link = element.attrib.pop(_XLINK, None)
        if link is not None:
            element.set("href", f"#{new[link[1:]]}")
        for key, value in element.attrib.items():
            element.set(key, _REFERENCE.sub(lambda found: f"url(#{new[found[1]]})", value))


def _references(root: ET.Element) -> Iterator[str]:
    for element in root.iter():
        if _XLINK in element.attrib:
            yield element.attrib[_XLINK][1:]
        for value in element.attrib.values():
            yield from _REFERENCE.findall(value)


def _describe(root: ET.Element, name: str, title: str, description: str) -> None:
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ET.Element(f"{{{_SVG}}}{tag}", {"id": f"{name}-{tag}"})
        element.text = printable(text)
        root.insert(place, element)


def printable(text: str) -> str:
    """Return the text without control characters, which XML does not have."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
