"""A value as people read it, by its unit: in tables, in the report and its comparison, and in what is said of a gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelyard.metrics import Interval, Metric, Quantity


def figure(value: float, unit: str) -> str:
    """Return a value in `unit` with the digits that count: `0.9714`, `41.7 kB`, `0.042 ms`, `0.81`, `1,830 /s`, `45,530`."""
    if unit == "bytes":
        return size(value)
    if unit == "ms":
        return milliseconds(value)
    if unit == "per second":
        return f"{plain(value)} /s"
    digits = {"fraction": 4, "ratio": 2}
    return f"{value:.{digits[unit]}f}" if unit in digits else plain(value)


def plain(value: float) -> str:
    """Return a number with four digits that count, all that stand before the point, and none as a power of ten.

    What is smaller than a ten-thousandth, or has more than 15 digits, cannot be read otherwise and is one.
    """
    if 1000 <= abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def size(size_bytes: float) -> str:
    """Return a size in the unit that suits it."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(size_bytes) >= limit:
            return f"{size_bytes / limit:,.1f} {unit}"
    return f"{size_bytes:.0f} B"


def milliseconds(value: float) -> str:
    """Return a duration in milliseconds, to the microsecond where it is short."""
    if value >= 100:
        return f"{value:,.0f} ms"
    if value >= 10:
        return f"{value:.1f} ms"
    return f"{value:.3f} ms" if value >= 0.01 or not value else f"{value:.2g} ms"


def cell(metric: Metric) -> str:
    """Return the value for a table that is read as text; of a ratio its interval, too: `0.81 (0.75 to 0.90)`."""
    if metric.unit != "ratio":
        return figure(metric.value, metric.unit)
    if metric.low == metric.high:
        return f"{metric.value:g}"
    low, high = ("?" if end is None else figure(end, metric.unit) for end in (metric.low, metric.high))
    return f"{figure(metric.value, metric.unit)} ({low} to {high})"


def number(value: float, unit: str) -> str:
    """Return the number of a value in `unit` as messages say it, which hold it against a bound: with all its digits."""
    if unit == "fraction":
        return f"{value:.4f}"
    if unit == "bytes":
        return f"{value:,.0f}"
    return f"{value:,.3f}" if abs(value) >= 0.01 else f"{value:.2g}"


def bound(limit: float) -> str:
    """Return a bound as messages say it: as it was set."""
    return f"{limit:,.0f}" if abs(limit) >= 1000 and limit == int(limit) else f"{limit:.10g}"


def said(quantity: Quantity, value: float) -> str:
    """Return a value as the subject of a sentence: `accuracy 0.8000`, `1,200 bytes after gzip`, `5.000 ms`."""
    text = number(value, quantity.unit)
    named = {"bytes": f"{text} bytes", "ms": f"{text} ms", "ratio": f"{text} of the baseline's"}
    unit = " per second" if quantity.unit == "per second" else ""
    words = named.get(quantity.unit, f"{quantity.head} {text}{unit}")
    return f"{words} {quantity.suffix}".rstrip()


def ends(interval: Interval | None, unit: str) -> str:
    """Return an interval in brackets, with a space before it; an empty text for what is exact.

    An end that too few samples leave open is where the unit's values end.
    """
    if interval is None:
        return ""
    low, high = interval
    least = ("0" if unit else "any") if low is None else number(low, unit)
    most = ("1" if unit == "fraction" else "any") if high is None else number(high, unit)
    return f" ({least} to {most})"
