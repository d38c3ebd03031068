"""The comparison as a person reads it; what it says in numbers is in test_compare.py."""

from __future__ import annotations

import msgspec
import pytest

from modelyard.metrics.standard import GZIP_SIZE, LATENCY_P50
from modelyard.report.compare import compare
from modelyard.report.compare_text import markdown
from modelyard.report.facts import ImageSummary, LayerSummary, Origin, ProjectFacts, Report
from modelyard.report.words import MINUS
from modelyard_plugins.tasks.classification import ACCURACY
from tests.report.reports import change, measure, report_of, row, variant


def told(a: Report, b: Report) -> list[str]:
    """Return the blocks of the comparison behind its head."""
    return markdown(compare(a, b)).split("\n\n")[2:]


def test_the_head_says_which_builds_are_compared() -> None:
    def at(commit: str, clean: bool | None) -> Report:
        project = ProjectFacts(name="my_shop", version="1.2", commit=commit, clean=clean)
        return report_of(project=project)

    text = markdown(compare(at("", None), at("c0ffee" * 6, False)))
    assert text.split("\n\n") == [
        "### my\\_shop: what changed",
        "a: my\\_shop 1.2, not in git; b: my\\_shop 1.2, commit c0ffeec0ffee with changes",
        "**Nothing ships**.",
    ]


def build(accuracy: float, gzip: float, ms: float, shipped: str) -> Report:
    figures = ACCURACY.of(accuracy), GZIP_SIZE.of(gzip), LATENCY_P50.of(ms)
    return report_of(variant("float32", ACCURACY.of(0.9)), variant("int8", *figures), shipped=shipped)


def test_the_whole_text_reads_well_as_it_is() -> None:
    assert "\n\n".join(told(build(0.875, 80_000, 1.0, "int8"), build(0.9, 60_000, 1.1, "int8"))) == (
        "**int8** ships, as before: accuracy 87.50\u00a0% → 90.00\u00a0% (+2.50 points), "
        f"gzip 80.0\u00a0kB → 60.0\u00a0kB ({MINUS}25.0 %), p50 1.100\u00a0ms.\n"
        "\n"
        "| variant | metric   |       a |       b |       change |        |\n"
        "| ------- | -------- | ------: | ------: | -----------: | ------ |\n"
        "| int8    | accuracy | 87.50\u00a0% | 90.00\u00a0% | +2.50 points | better |\n"
        f"|         | gzip     | 80.0\u00a0kB | 60.0\u00a0kB |      {MINUS}25.0 % | better |\n"
        "\n"
        "1 more variant is the same."
    )


def test_why_nothing_ships_is_told() -> None:
    nothing = msgspec.structs.replace(build(0.9, 1, 1.0, ""), shipped=None, not_shipped="select failed: <b>")
    assert told(build(0.9, 1, 1.0, "int8"), nothing) == [
        "**Nothing ships**: select failed: \\<b\\>; before it was int8."
    ]


def test_a_value_stands_with_its_interval_where_both_ends_are_known() -> None:
    def one(value: float, interval: tuple[float | None, float | None]) -> Report:
        return report_of(variant("int8", ACCURACY.of(value, interval)))

    text = markdown(compare(one(0.5, (0.4, 0.6)), one(0.9, (0.8, None))))
    assert row(text, "int8")[2:4] == ["50.00\u00a0% (40.00\u00a0% to 60.00\u00a0%)", "90.00\u00a0%"]


def test_a_size_that_was_nothing_has_no_part_that_it_grew_by() -> None:
    def one(size: float) -> Report:
        return report_of(variant("int8", GZIP_SIZE.of(size)))

    assert row(markdown(compare(one(0), one(2000))), "gzip")[2:] == ["0\u00a0B", "2.0\u00a0kB", "from 0", "worse"]


def test_of_many_groups_those_that_change_most_are_told_in_the_order_of_the_worst() -> None:
    def one(*values: float) -> Report:
        groups = {f"c{number:02}": value for number, value in enumerate(values)}
        return report_of(variant("int8", ACCURACY.of(0.5, per_group=groups)), shipped="int8")

    after = [0.5 + number / 100 * (-1) ** number for number in range(13)]
    head, table = told(one(*[0.5] * 13), one(*after))
    assert head == "Classes of the variant that ships whose accuracy changed (2 more change less):"
    assert [line.split()[1] for line in table.splitlines()[2:]] == [
        *("c11", "c09", "c07", "c05", "c03"),
        *("c04", "c06", "c08", "c10", "c12"),
    ]
    assert told(one(*[0.5] * 10), one(*[0.6] * 10))[0].endswith("whose accuracy changed:")


def test_an_image_that_is_gone_or_stale_is_told_with_what_is_known_of_it() -> None:
    layers = (LayerSummary(name="model", digest="sha256:cd", size_bytes=1000),)
    image = ImageSummary(
        repository="r",
        tag="1",
        digest="sha256:ab",
        size_bytes=3000,
        platform="p",
        builder="b",
        variant="",
        layers=layers,
    )
    with_image = report_of(variant("int8"), image=image, shipped="int8")
    without = report_of(variant("int8"), shipped="int8")
    assert told(with_image, without) == ["Image: 3.0\u00a0kB; layers that changed: model 1.0\u00a0kB."]
    stale = msgspec.structs.replace(with_image, image=msgspec.structs.replace(image, state="stale"))
    assert told(without, stale) == ["Image, stale: 3.0\u00a0kB; layers that changed: model 1.0\u00a0kB."]
    assert told(with_image, stale) == ["Nothing differs, what may be chance left aside."]


def test_of_much_that_they_were_made_of_the_first_twenty_are_told() -> None:
    def made(value: object, count: int = 24) -> Report:
        rest: dict[str, dict[str, str]] = {"components": {}, "files": {}, "code": {}, "tools": {}}
        parameters = {"note": value, **{f"p{number}": value for number in range(count)}}
        origin = Origin(stage="train:n", key="", digest="", commit="", clean=None, parameters=parameters, **rest)
        return report_of(variant("int8"), origins=(origin,), shipped="int8")

    head, text = told(made(None), made("a|b"))
    lines = text.splitlines()
    assert (head, lines[0]) == ("What it was made of:", "- parameter note: none → a\\|b (train:n)")
    assert (len(lines), lines[-1]) == (21, "- and 5 more, see `--json`")
    assert told(made(1, 19), made(2, 19))[1].splitlines()[-1] == "- parameter p18: 1 → 2 (train:n)"


def test_of_many_variants_that_differ_the_first_are_told(report: Report) -> None:
    def many(gzip_size: int) -> Report:
        one = measure(report, "v1", "gzip_size", value=gzip_size).variant("v1")
        assert one is not None
        variants = [msgspec.structs.replace(one, name=f"w{number:02}") for number in range(45)]
        return msgspec.structs.replace(report, variants=tuple(variants))

    text = markdown(compare(many(1000), many(900)))
    assert "| w39 " in text
    assert "| w40 " not in text
    assert "5 more differ, see `--json`." in text


@pytest.mark.parametrize(
    ("shipped", "words"), [(None, "**Nothing ships**; before it was v1"), ("v1", "before it was nothing")]
)
def test_nothing_shipped_on_one_side(report: Report, shipped: str | None, words: str) -> None:
    without = msgspec.structs.replace(report, shipped=None)
    text = markdown(compare(report, without) if shipped is None else compare(without, report))
    assert words in text


def test_new_notes_are_told(report: Report) -> None:
    later = msgspec.structs.replace(report, notes=("no *variant*",))
    assert "- note on b: no \\*variant\\*" in markdown(compare(report, later))


def test_names_cannot_break_the_table(report: Report) -> None:
    later = change(measure(report, "v1", "accuracy", value=0.9), "v1", name="a|b`<i>")
    rows = [line for line in markdown(compare(report, later)).splitlines() if line.startswith("|")]
    assert len(rows) > 2
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1


def test_a_change_is_told_with_both_values_and_its_size(report: Report) -> None:
    later = measure(measure(report, "v1", "accuracy", value=0.9), "v1", "gzip_size", value=60_000)
    text = markdown(compare(report, later))
    assert "**v1** ships, as before: accuracy 87.50\u00a0% → 90.00\u00a0% (+2.50 points)" in text
    assert "gzip 75.0\u00a0kB → 60.0\u00a0kB (\N{MINUS SIGN}20.0 %)" in text
    assert row(text, "v1")[1] == "accuracy"
    assert row(text, "gzip") == ["", "gzip", "75.0\u00a0kB", "60.0\u00a0kB", "\N{MINUS SIGN}20.0 %", "better"]
    assert "3 more variants are the same." in text
    assert "| v0 " not in text
