"""The page as text: well-formed, complete, the same each time; what a browser makes of it is in test_browser.py."""

from __future__ import annotations

import html.parser
import json
import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from modelyard.rendering.templates import TemplateError
from tests.report.conftest import Make, collected, write_page

HOSTILE = (
    '<script>alert("1")</script>',
    "a|b`c`*d*",
    "'\"><img src=x onerror=alert(2)>",
    "{{ 7 * 7 }}",
    "</style></svg>",
)
VOID = {"meta", "link", "img", "br", "input", "hr"}


class Reader(html.parser.HTMLParser):
    """Checks that elements are closed in order, and keeps ids, tags, links and text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.named: list[str] = []
        self.texts: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.tags[tag] += 1
        values = dict(attributes)
        self.attributes |= set(values)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values[name] for name in ("href", "src") if name in values]
        self.named += values.get("aria-labelledby", "").split()
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: Any) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: Any) -> None:
        self.texts.append(data)


def read(out: Path) -> Reader:
    reader = Reader()
    reader.feed((out / "index.html").read_text(encoding="utf-8"))
    reader.close()
    assert reader.open == []
    return reader


HOWS: dict[str, dict[str, Any]] = {
    "whole": {},
    "colour": {"shape": (12, 10, 3)},
    "no pictures": {"shape": (5,)},
    "one variant": {"variants": 1, "shipped": "v0"},
    "fifty variants": {"variants": 50, "shipped": "v49"},
    "hundred classes": {"class_names": tuple(f"class {n}" for n in range(100)), "samples": 400},
    "missing classes": {"class_names": ("a", "b", "c", "d"), "unseen": 2},
    "baseline ships": {"shipped": "v0"},
    "nothing built": {"built": ()},
    "only a data set": {"built": ("dataset",)},
    "failed select": {"built": ("dataset", "train", "evaluate"), "failure": "no variant meets every gate\n  v0: <b>"},
    "no image in the plan": {"image": False},
    "not trained as long": {"trained_unlike": {"v1": "no <b>chain</b> fits", "v2": "no <b>chain</b> fits"}},
    "missed gates": {"gates": {"min_accuracy": 0.88, "max_latency_p50": 0.0225}},
    "hostile names": {"class_names": HOSTILE},
    "control characters": {"class_names": ("\x01", "a\nb", "\ufffe", "\t!")},
}


LIKE = ("colour", "one variant", "fifty variants", "hundred classes", "baseline ships", "no image in the plan")
"""Those whose parts the pages of the others have, too; thorough runs try them."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that gives the folder of the report of each of `HOWS`, written once."""
    return cache(lambda how: write_page(collected(tmp_path_factory.mktemp("report") / "project", **HOWS[how])))


@pytest.fixture(
    params=[
        pytest.param(how, marks=[pytest.mark.thorough] if how in LIKE else [], id=how.replace(" ", "-")) for how in HOWS
    ]
)
def page(request: pytest.FixtureRequest, pages: Callable[[str], Path]) -> Path:
    return pages(request.param)


def test_what_a_killed_report_left_is_swept_and_nothing_is_left_beside_the_files(tmp_path: Path) -> None:
    made = collected(tmp_path / "project")
    left = Path(made.out) / ".unfinished" / "12" / "0"
    left.mkdir(parents=True)
    (left / "index.html").write_text("<half")
    assert {path.name for path in write_page(made).iterdir()} == {"index.html", "report.md", "report.json"}


def test_the_page_is_well_formed_and_stands_alone(page: Path) -> None:
    reader = read(page)
    assert [name for name, count in Counter(reader.ids).items() if count > 1] == []
    assert set(reader.named) <= set(reader.ids)
    assert reader.tags["script"] == 0
    for link in reader.links:
        assert link.startswith(("data:", "#")), link
        assert not link.startswith("#") or link[1:] in reader.ids, link
    text = (page / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"#0102[0-9a-f]{2}", text) == []  # a colour that no style sheet knows
    assert "url(http" not in text
    assert "{{" not in text.replace("{{ 7 * 7 }}", "")


def test_hostile_names_are_text(pages: Callable[[str], Path]) -> None:
    out = pages("hostile names")
    reader = read(out)
    assert [name for name in reader.attributes if name.startswith("on")] == []
    texts = " ".join(reader.texts)
    for name in HOSTILE:
        assert name in texts
    lines = [line for line in (out / "report.md").read_text().splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1


def test_the_same_build_gives_the_same_bytes(make: Make, pages: Callable[[str], Path]) -> None:
    first = {path.name: path.read_bytes() for path in pages("whole").iterdir()}
    assert {path.name: path.read_bytes() for path in write_page(make()).iterdir()} == first
    assert set(first) == {"index.html", "report.md", "report.json"}


def test_each_list_of_numbers_of_the_json_is_one_line(tmp_path: Path) -> None:
    names = ("[\n1,\n2\n]", "b", "c", "d", "e")
    out = write_page(collected(tmp_path / "project", class_names=names, unseen=1))
    text = (out / "report.json").read_text()
    report = json.loads(text)
    assert report["variants"][0]["class_names"] == list(names)
    assert report["variants"][0]["per_class"][4] is None
    cells = report["variants"][1]["confusion_matrix"]
    assert f'"count": {json.dumps(cells["count"])}' in text
    assert f'"val_loss": {json.dumps(report["curves"][0]["figures"]["val_loss"])}' in text
    assert max(map(len, text.splitlines())) < 400


def test_a_report_on_a_hundred_classes_stays_small(tmp_path: Path) -> None:
    names = tuple(f"class {n}" for n in range(100))
    out = write_page(collected(tmp_path / "p", variants=10, class_names=names, samples=300, shape=(5,)))
    assert (out / "report.json").stat().st_size < 150_000


def test_what_a_person_set_up_for_matplotlib_changes_nothing(make: Make, pages: Callable[[str], Path]) -> None:
    import matplotlib as mpl

    plain = (pages("whole") / "index.html").read_bytes()
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert (write_page(make()) / "index.html").read_bytes() == plain


def test_pictures_are_bounded(tmp_path: Path) -> None:
    out = write_page(collected(tmp_path / "big", shape=(300, 200, 3), variants=9, samples=90))
    text = (out / "index.html").read_text()
    uris = re.findall(r'src="(data:image/png[^"]*)"', text)
    assert 0 < len(uris) <= 12 + 5 * 6
    assert sum(map(len, uris)) <= 600_000
    assert len(text) < 1_500_000


def test_fifty_variants_and_a_hundred_classes_stay_small(tmp_path: Path) -> None:
    names = tuple(f"class {n}" for n in range(100))
    out = write_page(collected(tmp_path / "p", variants=50, class_names=names, samples=300, shape=(28, 28, 1)))
    assert (out / "index.html").stat().st_size < 1_000_000
    assert (out / "report.md").stat().st_size < 20_000


def test_the_page_says_what_ships_and_what_it_costs(pages: Callable[[str], Path]) -> None:
    texts = "".join(read(pages("whole")).texts)
    assert "v1 ships: it labels 87.50\u00a0% of 120 test samples rightly (+2.50 points against v0)" in texts
    assert "75.0\u00a0kB after gzip (2.0 \N{MULTIPLICATION SIGN} smaller)" in texts
    assert "few samples to calibrate with" in texts


def test_both_pages_say_which_accuracies_are_compared_with_a_baseline_that_was_not_trained_as_long(
    pages: Callable[[str], Path],
) -> None:
    out = pages("not trained as long")
    texts = "".join(read(out).texts)
    assert "(+2.50 points against v0, which was not trained as long)" in texts
    assert "The accuracy of v1, v2 is compared with v0, which was not trained as long: no <b>chain</b> fits." in texts
    markdown = (out / "report.md").read_text()
    assert "(+2.50 points against v0, which was not trained as long)" in markdown
    assert (
        "⚠ v1, v2: accuracy compared with v0, which was not trained as long: no \\<b\\>chain\\</b\\> fits\n" in markdown
    )


def test_markdown_is_a_comment_for_a_pull_request(pages: Callable[[str], Path]) -> None:
    text = (pages("whole") / "report.md").read_text()
    assert "**v1** ships: accuracy 87.50\u00a0% (+2.50 points against v0)" in text
    assert "| **v1** (shipped) |" in text
    assert "\n\n\n" not in text


def test_a_project_overrides_a_block(make: Make) -> None:
    made = make()
    place = Path(made.folder) / "templates" / "report"
    place.mkdir(parents=True)
    (place / "index.html.j2").write_text(
        '{% extends "builtin/report/index.html.j2" %}{% block footer %}<p>of {{ report.project.name }}</p>{% endblock %}'
    )
    assert "<p>of project</p>" in (write_page(made) / "index.html").read_text()
    (place / "index.html.j2").write_text("{{ reprot.project }}")
    with pytest.raises(TemplateError, match="did you mean 'report'"):
        write_page(made)
