"""Numbers as a reader wants them: percent, kB, milliseconds, differences with their sign."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from modelyard import units
from modelyard.build.verdict import STATUSES, UP_TO_DATE
from modelyard.metrics import figures

if TYPE_CHECKING:
    from modelyard.metrics import Metric, Quantity

MINUS = "\N{MINUS SIGN}"
_JOINT = "\N{NO-BREAK SPACE}"
_DASH = "\N{EN DASH}"
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#+!|~&@])")
_TIMES = "\N{MULTIPLICATION SIGN}"
_APART = "\N{ZERO WIDTH SPACE}"


def percent(fraction: float | None) -> str:
    """Return a fraction as percent with two digits; `n/a` for None."""
    return "n/a" if fraction is None else f"{fraction * 100:.2f}{_JOINT}%"


def points(new: float | None, old: float | None) -> str:
    """Return how far a fraction lies above another, in percentage points with its sign; `n/a` if one is None."""
    if new is None or old is None:
        return "n/a"
    return signed((new - old) * 100, 2)


def signed(value: float, digits: int) -> str:
    """Return a number with its sign, and zero without one."""
    text = f"{abs(value):.{digits}f}"
    if not float(text):
        return "0"
    return f"{'+' if value > 0 else MINUS}{text}"


def size(size_bytes: float) -> str:
    """Return a size in the unit that suits it."""
    return _joined(figures.size(size_bytes))


def milliseconds(value: float) -> str:
    """Return a latency in milliseconds."""
    return _joined(figures.milliseconds(value))


def times(new: float, old: float, smaller: str, larger: str) -> str:
    """Return how many times smaller (or larger) `new` is than `old`, in words; `the same` within 2 %."""
    if not new or not old or abs(new / old - 1) < 0.02:
        return "the same"
    return f"{old / new:.1f} {_TIMES} {smaller}" if new < old else f"{new / old:.1f} {_TIMES} {larger}"


def ratio(metric: Metric) -> str:
    """Return a ratio with its interval: `0.90 (0.88 to 0.93)`; an end that is not known is left out, and what is exact is a dash."""
    if metric.low is None or metric.high is None:
        return figures.figure(metric.value, "ratio")
    return figures.cell(metric) if metric.low < metric.high else _DASH


def figure(metric: Metric | None) -> str:
    """Return a metric's value in the unit that suits it; a dash for one that was not measured."""
    if metric is None:
        return _DASH
    return ratio(metric) if metric.unit == "ratio" else value(metric, metric.value)


def value(quantity: Quantity, number: float | None) -> str:
    """Return a value of a quantity in the unit that suits it; `n/a` for None."""
    if number is None:
        return "n/a"
    return percent(number) if quantity.unit == "fraction" else _joined(figures.figure(number, quantity.unit))


def change(quantity: Quantity, new: float | None, old: float | None) -> str:
    """Return how far a value lies above another, with its sign; fractions in percentage points; `n/a` if one is None."""
    if quantity.unit == "fraction" or new is None or old is None:
        return points(new, old)
    return "0" if new == old else f"{'+' if new > old else MINUS}{figures.plain(abs(new - old))}"


def moved(quantity: Quantity, new: float | None, old: float | None) -> str:
    """Return a change as a sentence says it: `+1.20 points`."""
    text = change(quantity, new, old)
    return f"{text} points" if quantity.unit == "fraction" and text != "n/a" else text


def standing(quantity: Quantity, new: float | None, old: float | None) -> str:
    """Return whether a change that is told is one for the better: `up`, `down`, or `soft` for none."""
    if new is None or old is None or change(quantity, new, old) == "0":
        return "soft"
    return "up" if (new > old) == (quantity.better == "higher") else "down"


def title(quantity: Quantity) -> str:
    """Return the head of a quantity's column as a title: `Accuracy`."""
    return quantity.title or quantity.head.capitalize()


def capital(text: str) -> str:
    """Return a text as a sentence begins with it."""
    return text[:1].upper() + text[1:]


def plural(word: str) -> str:
    """Return the plural of a word that names what a quantity is told of each of: `classes`, `quantities`."""
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return f"{word}es"
    return f"{word[:-1]}ies" if word.endswith("y") and word[-2:-1] not in "aeiou" else f"{word}s"


def duration(seconds: float) -> str:
    """Return a duration that no line break parts: `0.3 s`, `12 s`, `3 min 20 s`."""
    return _joined(units.duration(seconds))


def _joined(text: str) -> str:
    """Return a figure that no line break parts."""
    return text.replace(" ", _JOINT)


def outdated(state: str) -> str:
    """Return the state of a stage in words if it is not up to date; else an empty text."""
    return "" if state == UP_TO_DATE else STATUSES[state]


def short(digest: str) -> str:
    """Return the first digits of a digest."""
    return digest.removeprefix("sha256:")[:12]


def markdown_text(value: object) -> str:
    """Return a text that means itself in Markdown, in a cell of a table too: one line, no markup, no mention."""
    escaped = _MARKDOWN.sub(r"\\\1", " ".join(str(value).split()))
    return escaped.replace("\\@", f"@{_APART}").replace("\\#", f"#{_APART}")
