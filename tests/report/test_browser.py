"""The page in a real browser: nothing leaves it, it fits a phone, both colour schemes and the keyboard work, axe finds nothing."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.report.conftest import collected, write_page
from tests.shared import Late, usual

axe: Any = Late("axe_playwright_python.base")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 900}

HOWS: dict[str, dict[str, Any]] = {
    "whole": {"shape": (16, 16, 3), "gates": {"min_accuracy": 0.88, "max_latency_p50": 0.0225}},
    "many": {
        "variants": 12,
        "class_names": tuple(f"a class with a long name, number {n}" for n in range(30)),
        "samples": 150,
        "shape": (28, 28, 1),
    },
    "half": {
        "built": ("dataset", "train", "evaluate"),
        "shape": (5,),
        "failure": f"no variant {'meets' * 40}\n  v0: x",
    },
    "nothing": {"built": ()},
}
"""Pages that between them hold everything that the template can write."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return Debian's Chromium, with an empty profile."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    pytest.importorskip("axe_playwright_python.base", reason="axe-playwright-python is not installed")
    program = shutil.which("chromium")
    if program is None:
        if os.environ.get("MODELYARD_REQUIRE_SERVICES"):
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as api:
        started = api.chromium.launch(executable_path=program, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def page_files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that gives the page of each of `HOWS`, written once."""
    written: dict[str, Path] = {}

    def file(name: str) -> Path:
        if name not in written:
            folder = tmp_path_factory.mktemp(name) / "project"
            written[name] = write_page(collected(folder, **HOWS[name])) / "index.html"
        return written[name]

    return file


@contextmanager
def opened(browser: Any, file: Path, size: dict[str, int] = DESKTOP, scheme: str = "light") -> Iterator[Any]:
    """Open the page; at its end there must have been no request but for the file itself, and no message."""
    context = browser.new_context(viewport=size, color_scheme=scheme)
    page = context.new_page()
    requests: list[str] = []
    messages: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(file.as_uri())
    yield page
    context.close()
    assert [url for url in requests if not url.startswith("data:")] == [file.as_uri()]
    assert messages == []


@pytest.mark.parametrize("name", usual(HOWS, 1))
def test_it_fits_a_phone_and_shows_every_picture(name: str, page_files: Callable[[str], Path], browser: Any) -> None:
    with opened(browser, page_files(name), PHONE) as page:
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        width = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert width[0] <= width[1] == 360
        broken = "[...document.images].filter(i => i.naturalWidth === 0).length"
        assert page.evaluate(broken) == 0
        # text that nobody can reach: an element that is wider than the page and in nothing that scrolls
        outside = page.evaluate("""[...document.querySelectorAll('main *')]
            .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll') && !e.closest('svg'))
            .map(e => e.outerHTML.slice(0, 100))""")
        assert outside == []


@pytest.mark.parametrize("name", usual(HOWS, 1))
def test_axe_finds_nothing_and_enough_contrast_in_the_dark(
    name: str, page_files: Callable[[str], Path], browser: Any
) -> None:
    with opened(browser, page_files(name)) as page:
        found = violations(page, "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']")
        assert found == []
        if name in ("whole", "half"):
            page.emulate_media(color_scheme="dark")
            assert violations(page, "['color-contrast', 'link-in-text-block']") == []


def violations(page: Any, only: str) -> list[tuple[str, list[str]]]:
    """Return what axe finds once the page is unfolded but for what repeats itself: the rule, and the first places."""
    page.evaluate(
        "document.querySelectorAll('details').forEach((d, n, all) => d.open = n < 12 || n === all.length - 1)"
    )
    if not page.evaluate("'axe' in window"):
        page.evaluate(axe.AXE_FILE_PATH.read_text(encoding="utf-8"))
    found = page.evaluate(f"axe.run(document, {{runOnly: {only}, resultTypes: ['violations']}})")
    assert found["passes"], "axe looked at nothing"
    return [(one["id"], [node["html"][:200] for node in one["nodes"]][:3]) for one in found["violations"]]


def test_both_schemes_have_their_own_colours(page_files: Callable[[str], Path], browser: Any) -> None:
    grounds = {}
    for scheme in ("light", "dark"):
        with opened(browser, page_files("whole"), scheme=scheme) as page:
            grounds[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
            graph = page.evaluate("getComputedStyle(document.querySelector('.modelyard-graph > rect')).fill")
            tick = page.evaluate("getComputedStyle(document.querySelector('svg.plot text')).fill")
            assert graph == grounds[scheme]
            assert tick != grounds[scheme]
            page.emulate_media(media="print", color_scheme=scheme)
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert grounds == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}


def test_the_keyboard_reaches_everything_in_order_and_the_focus_shows(
    page_files: Callable[[str], Path], browser: Any
) -> None:
    with opened(browser, page_files("whole"), PHONE) as page:
        seen = []
        for _ in range(200):
            page.keyboard.press("Tab")
            one = page.evaluate("""(() => {
                const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
                return {tag: e.tagName, text: e.textContent.trim().slice(0, 40), outline: style.outlineStyle,
                        place: [...document.querySelectorAll('*')].indexOf(e), top: box.top, bottom: box.bottom};
            })()""")
            if one["tag"] == "BODY":
                break
            seen.append(one)
        assert seen[0]["text"] == "Skip to the report"
        assert [one["place"] for one in seen] == sorted({one["place"] for one in seen})
        assert {one["outline"] for one in seen} == {"solid"}
        assert all(one["bottom"] > 0 and one["top"] < PHONE["height"] for one in seen)
        reachable = page.evaluate("""[...document.querySelectorAll('a[href], summary, [tabindex="0"]')]
            .filter(e => e.checkVisibility()).length""")
        assert len(seen) == reachable


def test_the_skip_link_and_the_contents_lead_into_the_page(page_files: Callable[[str], Path], browser: Any) -> None:
    with opened(browser, page_files("whole"), PHONE) as page:
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        for link in page.query_selector_all("nav a"):
            link.click()
            name = link.get_attribute("href").removeprefix("#")
            assert (
                0 <= page.evaluate(f"document.getElementById('{name}').getBoundingClientRect().top") < PHONE["height"]
            )


def test_what_is_wider_than_the_page_scrolls_with_the_keyboard(page_files: Callable[[str], Path], browser: Any) -> None:
    with opened(browser, page_files("whole"), PHONE) as page:
        table = page.query_selector("#variants .scroll")
        table.focus()
        page.keyboard.press("ArrowRight")
        # the page's own policy forbids what Playwright's wait_for_function does
        end = time.monotonic() + 10
        while page.evaluate("document.querySelector('#variants .scroll').scrollLeft") == 0:
            assert time.monotonic() < end, "the table did not scroll"
            page.wait_for_timeout(20)
        # the names of the variants stay in sight
        assert page.evaluate("document.querySelector('#variants tbody th').getBoundingClientRect().left") >= 0


def test_landmarks_headings_and_table_heads(page_files: Callable[[str], Path], browser: Any) -> None:
    with opened(browser, page_files("whole")) as page:
        assert [page.locator(tag).count() for tag in ("header", "nav", "main", "footer", "h1")] == [1] * 5
        levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])")
        assert all(later - one <= 1 for one, later in itertools.pairwise(levels))
        tables = page.locator("table").count()
        assert tables > 5
        assert page.locator("table > caption").count() == tables
        assert page.locator("th:not([scope])").count() == 0
        assert page.locator("svg[role=img]").count() == page.locator("svg").count() >= 5


def test_it_prints_without_what_only_a_screen_can_do(page_files: Callable[[str], Path], browser: Any) -> None:
    with opened(browser, page_files("whole")) as page:
        page.emulate_media(media="print")
        assert not page.locator("nav").is_visible()
        hidden = (
            "[...document.querySelectorAll('.scroll')].filter(e => getComputedStyle(e).overflowX !== 'visible').length"
        )
        assert page.evaluate(hidden) == 0
        assert page.pdf(format="A4").startswith(b"%PDF")
