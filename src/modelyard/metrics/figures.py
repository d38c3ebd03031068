"""A value as text, by the unit of its quantity: in a table, and in what is said of a gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelyard.metrics import Interval, Metric, Quantity


def cell(metric: Metric) -> str:
    """Return the value for a table that is read as text: `0.9714`, `41.7 kB`, `0.042 ms`, `0.81 (0.75 to 0.90)`."""
    value = metric.value
    if metric.unit == "ratio":
        if metric.low == metric.high:
            return f"{value:g}"
        low, high = ("?" if end is None else f"{end:.2f}" for end in (metric.low, metric.high))
        return f"{value:.2f} ({low} to {high})"
    if metric.unit == "bytes":
        return f"{value:.0f} B" if value < 1000 else f"{value / 1000:,.1f} kB"
    plain = {"fraction": f"{value:.4f}", "ms": f"{value:.3f} ms", "per second": f"{value:,.0f} /s"}
    return plain.get(metric.unit, f"{value:.4g}")


def number(value: float, unit: str) -> str:
    """Return the number of a value in `unit` as messages say it."""
    if unit == "fraction":
        return f"{value:.4f}"
    if unit == "bytes":
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) >= 0.01 else f"{value:.2g}"


def said(quantity: Quantity, value: float) -> str:
    """Return a value as the subject of a sentence: `accuracy 0.8000`, `1,200 bytes after gzip`, `5.000 ms`."""
    text = number(value, quantity.unit)
    named = {"bytes": f"{text} bytes", "ms": f"{text} ms", "ratio": f"{text} of the baseline's"}
    unit = " per second" if quantity.unit == "per second" else ""
    words = named.get(quantity.unit, f"{quantity.head} {text}{unit}")
    return f"{words} {quantity.suffix}".rstrip()


def ends(interval: Interval | None, unit: str) -> str:
    """Return an interval in brackets, with a space before it; an empty text for what is exact."""
    if interval is None:
        return ""
    low, high = interval
    least = ("0" if unit else "any") if low is None else number(low, unit)
    return f" ({least} to {'any' if high is None else number(high, unit)})"
