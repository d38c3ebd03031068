"""Confidence intervals of quantiles, without an assumption on how the values are distributed."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIDENCE = 0.95
"""How often an interval holds the true quantile, at least, if the values are independent of each other."""


def quantile_interval(
    values: Sequence[float], quantile: float, confidence: float = CONFIDENCE
) -> tuple[float | None, float | None]:
    """Return the interval of a quantile between two of the values (order statistics).

    How many of `n` values lie below the true quantile `q` has the binomial distribution B(n, q), whatever the values'
    own distribution. Each end leaves at most half of `1 - confidence` outside. An end is None if there are too few
    values: for a median below 6, for the upper end of the 99th percentile below 368.

    Args:
        values: at least one number, in any order.
        quantile: above 0 and below 1; 0.5 for the median.
        confidence: above 0 and below 1.

    Source: W. J. Conover, Practical Nonparametric Statistics, 3rd ed., 1999, section 3.2; G. J. Hahn and W. Q. Meeker,
    Statistical Intervals, 1991, section 5.2.
    """
    ordered = sorted(values)
    low, high = _ranks(len(ordered), quantile, (1 - confidence) / 2)
    return (ordered[low - 1] if low else None, ordered[high - 1] if high else None)


def _ranks(n: int, quantile: float, tail: float) -> tuple[int, int]:
    """Return the ranks, from 1, of the two order statistics; 0 where there is none.

    The lower is the largest l with P(B < l) <= tail, the upper the smallest u with P(B >= u) <= tail.
    """
    at_most = list(accumulate(_binomial(n, quantile)))  # at_most[k] = P(B <= k)
    low = sum(1 for k in range(n) if at_most[k] <= tail)
    high = next((u for u in range(1, n + 1) if 1 - at_most[u - 1] <= tail), 0)
    return low, high


def _binomial(n: int, p: float) -> list[float]:
    """Return P(B = k) for k from 0 to n; logarithms keep a large `n` from overflowing."""
    log_p, log_q = math.log(p), math.log1p(-p)
    whole = math.lgamma(n + 1)
    return [
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * log_p + (n - k) * log_q)
        for k in range(n + 1)
    ]
