from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.build.verdict import STATUSES
from modelyard.metrics import Quantity
from modelyard.metrics.standard import GZIP_SIZE, LATENCY_P50, LATENCY_RATIO
from modelyard.report import words
from modelyard.report.words import MINUS, markdown_text
from modelyard_plugins.tasks.classification import ACCURACY

MAE = Quantity(name="mae", better="lower", title="MAE")


def test_fractions_are_percent_and_their_changes_points() -> None:
    assert (words.percent(0.9714), words.percent(0), words.percent(None)) == ("97.14\u00a0%", "0.00\u00a0%", "n/a")
    assert (words.points(0.9, 0.875), words.points(0.875, 0.9)) == ("+2.50", f"{MINUS}2.50")
    assert words.points(None, 0.9) == words.points(0.9, None) == "n/a"


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(1.25, 1, "+1.2"), (-1.5, 0, f"{MINUS}2"), (0.0, 2, "0"), (-0.004, 2, "0"), (0.004, 3, "+0.004")],
)
def test_a_sign_stands_before_all_but_what_is_shown_as_zero(value: float, digits: int, text: str) -> None:
    assert words.signed(value, digits) == text


@given(st.floats(-1e6, 1e6), st.integers(0, 4))
def test_a_signed_number_is_the_number(value: float, digits: int) -> None:
    text = words.signed(value, digits)
    assert float(text.replace(MINUS, "-")) == pytest.approx(value, abs=0.5001 * 10**-digits)
    assert (text == "0") or (text[0] == "+") is (value > 0)


@pytest.mark.parametrize(
    ("new", "old", "text"),
    [
        (50, 100, "2.0 \u00d7 smaller"),
        (300, 100, "3.0 \u00d7 larger"),
        (101, 100, "the same"),
        (98.1, 100, "the same"),
        (0, 100, "the same"),
        (100, 0, "the same"),
    ],
)
def test_how_many_times_smaller_or_larger(new: float, old: float, text: str) -> None:
    assert words.times(new, old, "smaller", "larger") == text


def test_a_figure_is_in_the_unit_that_suits_it_and_no_line_break_parts_it() -> None:
    assert words.figure(GZIP_SIZE.of(41_700)) == "41.7\u00a0kB"
    assert words.figure(ACCURACY.of(0.5)) == "50.00\u00a0%"
    assert words.figure(LATENCY_P50.of(0.042)) == words.milliseconds(0.042) == "0.042\u00a0ms"
    assert words.figure(MAE.of(45_530.2)) == "45,530"
    assert words.figure(None) == "\u2013"
    assert words.value(MAE, None) == "n/a"
    assert words.size(3e6) == "3.0\u00a0MB"
    assert words.duration(200) == "3\u00a0min\u00a020\u00a0s"


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        ((0.88, 0.93), "0.90 (0.88 to 0.93)"),
        ((None, 0.93), "0.90"),
        ((0.88, None), "0.90"),
        ((0.9, 0.9), "\u2013"),
        (None, "\u2013"),
    ],
)
def test_a_ratio_has_its_interval_and_what_is_exact_is_a_dash(
    interval: tuple[float | None, float | None] | None, text: str
) -> None:
    metric = LATENCY_RATIO.of(0.9, interval)
    assert words.ratio(metric) == words.figure(metric) == text


@pytest.mark.parametrize(
    ("quantity", "new", "old", "change", "moved", "standing"),
    [
        (ACCURACY, 0.9, 0.888, "+1.20", "+1.20 points", "up"),
        (ACCURACY, 0.888, 0.9, f"{MINUS}1.20", f"{MINUS}1.20 points", "down"),
        (ACCURACY, 0.9, 0.900001, "0", "0 points", "soft"),
        (ACCURACY, None, 0.9, "n/a", "n/a", "soft"),
        (MAE, 20_000, 45_530, f"{MINUS}25,530", f"{MINUS}25,530", "up"),
        (MAE, 1.5, 1.25, "+0.25", "+0.25", "down"),
        (MAE, 1.5, 1.5, "0", "0", "soft"),
        (MAE, 1.5, None, "n/a", "n/a", "soft"),
    ],
)
def test_a_change_has_its_sign_its_unit_and_says_whether_it_is_for_the_better(
    quantity: Quantity, new: float | None, old: float | None, change: str, moved: str, standing: str
) -> None:
    assert words.change(quantity, new, old) == change
    assert words.moved(quantity, new, old) == moved
    assert words.standing(quantity, new, old) == standing


def test_titles_and_plurals() -> None:
    names = MAE, ACCURACY, Quantity(name="top_5_rate", better="higher")
    assert [words.title(one) for one in names] == ["MAE", "Accuracy", "Top 5 rate"]
    assert (words.capital("rMSE of it"), words.capital("")) == ("RMSE of it", "")
    plurals = {
        "class": "classes",
        "quantity": "quantities",
        "journey": "journeys",
        "box": "boxes",
        "batch": "batches",
        "y": "ys",
    }
    assert {word: words.plural(word) for word in plurals} == plurals


def test_states_and_digests_are_short() -> None:
    assert {state: words.outdated(state) for state in STATUSES} == {**STATUSES, "up-to-date": ""}
    assert words.short(f"sha256:{'ab' * 32}") == words.short("ab" * 32) == "ab" * 6


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a_b", r"a\_b"),
        ("x|y\nz", r"x\|y z"),
        ("<b>", r"\<b\>"),
        ("@team #12", "@\u200bteam #\u200b12"),
        (r"\\", r"\\\\"),
    ],
)
def test_text_means_itself_in_markdown(text: str, escaped: str) -> None:
    assert markdown_text(text) == escaped


@given(st.text())
def test_any_text_is_one_line_without_a_column_of_its_own(text: str) -> None:
    escaped = markdown_text(text)
    assert len(escaped.splitlines()) <= 1
    assert "|" not in escaped.replace("\\|", "").replace("\\\\", "")
