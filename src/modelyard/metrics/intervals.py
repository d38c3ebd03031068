"""Confidence intervals: of quantiles, of proportions such as an accuracy, of a mean, and of the difference of paired ones."""

from __future__ import annotations

import math
from itertools import accumulate
from statistics import NormalDist, fmean, stdev
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIDENCE = 0.95
"""How often an interval holds the true quantile, at least, if the values are independent of each other."""
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


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


def wilson_interval(right: int, samples: int) -> tuple[float, float]:
    """Return the 95 % interval of a proportion: `right` of `samples` independent samples, at least one.

    It holds the true proportion about as often as it says for few samples and near 0 and 1, too, where the textbook's
    `p ± 1.96 sqrt(p (1 - p) / n)` does not.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the American
    Statistical Association 22, 1927; recommended by Brown, Cai and DasGupta, Statistical Science 16, 2001.
    """
    share, spread = right / samples, _Z**2 / samples
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return (0.0 if right == 0 else middle - half, 1.0 if right == samples else middle + half)


class Pairs(NamedTuple):
    """How two classifiers do on the same samples: how many both, only one, only the other, and none label rightly."""

    both: int
    broken: int
    mended: int
    neither: int


def drop_interval(pairs: Pairs) -> tuple[float, float]:
    """Return the 95 % interval of how far the second accuracy lies below the first, on the same samples.

    The samples that both label alike say nothing of the difference, so it is narrower than two intervals of single
    accuracies would make it. It is Newcombe's: Wilson's intervals of both, put together with the correlation of the pairs.

    Source: R. G. Newcombe, "Improved confidence intervals for the difference between binomial proportions based on paired
    data", Statistics in Medicine 17, 1998, method 10; recommended beside McNemar's test by Fagerland, Lydersen and Laake,
    "Recommended tests and confidence intervals for paired binomial proportions", Statistics in Medicine 33, 2014.
    """
    both, broken, mended, _ = pairs
    samples = sum(pairs)
    first, second = (both + broken) / samples, (both + mended) / samples
    (low1, high1), (low2, high2) = (wilson_interval(both + one, samples) for one in (broken, mended))
    phi = _correlation(pairs)
    below, above = (first - low1, high2 - second), (high1 - first, second - low2)
    drop = (broken - mended) / samples
    return drop - _joined(*below, phi), drop + _joined(*above, phi)


def _joined(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(0.0, one**2 - 2 * phi * one * other + other**2))


def _correlation(pairs: Pairs) -> float:
    """Return the correlation of the two, with the continuity correction of Newcombe's method 10."""
    both, broken, mended, neither = pairs
    product = (both + broken) * (mended + neither) * (both + mended) * (broken + neither)
    if not product:
        return 0.0
    excess = both * neither - broken * mended
    return (max(0.0, excess - sum(pairs) / 2) if excess > 0 else excess) / math.sqrt(product)


def mcnemar(broken: int, mended: int) -> float:
    """Return the two-sided mid-p value of McNemar's test: how likely chance alone makes two accuracies differ so much.

    Of the samples that only one of two classifiers labels rightly, each is as likely the one's as the other's if both are
    equally accurate. The mid-p value counts what was seen by half; the exact test is too careful.

    Args:
        broken: samples that only the first labels rightly.
        mended: samples that only the second does.

    Source: Q. McNemar, Psychometrika 12, 1947; M. W. Fagerland, S. Lydersen, P. Laake, "The McNemar test for binary
    matched-pairs data: mid-p and asymptotic are better than exact conditional", BMC Medical Research Methodology 13:91, 2013.
    """
    if broken == mended == 0:
        return 1.0
    chances, seen = _binomial(broken + mended, 0.5), min(broken, mended)
    return 2 * sum(chances[: seen + 1]) - chances[seen] if broken != mended else 1 - chances[seen] / 2


def mean_interval(mean: float, deviation: float, samples: int) -> tuple[float | None, float | None]:
    """Return the 95 % interval of a mean of independent values, by the central limit theorem; no ends below 30 values.

    Args:
        mean: the mean.
        deviation: the standard deviation of the values, with `n - 1`.
        samples: how many there are.
    """
    if samples < 30:
        return None, None
    half = _Z * deviation / math.sqrt(samples)
    return mean - half, mean + half


def few_interval(values: Sequence[float], overlap: float = 0.0) -> tuple[float | None, float | None]:
    """Return the 95 % interval of the mean of a few values, by Student's t; no ends of a single one.

    It holds the true mean as often as it says if the values are distributed normally.

    Args:
        values: at least one number.
        overlap: 0 for values that are independent of each other; for those of models that share samples which they were
            trained on, how many samples one was tested with for each that it was trained on.

    Source: Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003, for the overlap.
    """
    count = len(values)
    if count < 2:
        return None, None
    middle = fmean(values)
    half = student(count - 1) * stdev(values) * math.sqrt(1 / count + overlap)
    return middle - half, middle + half


def student(freedom: int, confidence: float = CONFIDENCE) -> float:
    """Return the number that Student's t stays within, either side of 0, with probability `confidence`.

    Args:
        freedom: degrees of freedom, from 1.
        confidence: above 0 and below 1.
    """
    low, high = 0.0, math.pi / 2  # of the angle whose tangent is t / sqrt(freedom)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < confidence else (low, middle)
    return math.tan(low) * math.sqrt(freedom)


def _within(angle: float, freedom: int) -> float:
    """Return P(|T| < tan(angle) sqrt(freedom)).

    Source: M. Abramowitz, I. A. Stegun, Handbook of Mathematical Functions, 1964, 26.7.3 and 26.7.4.
    """
    square, odd = math.cos(angle) ** 2, freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for n in range(2 + odd, freedom + 1, 2):
        total += term
        term *= square * (n - 1) / n
    return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
