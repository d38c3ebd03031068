"""Two variants on the same test samples: how surely one is worse than the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.metrics.intervals import Pairs, drop_interval, mean_interval

if TYPE_CHECKING:
    from modelyard.metrics import Interval, Metric
    from modelyard.variants.evaluation import Measured


def pairs_interval(metric: Metric, variant: Measured, baseline: Measured) -> Interval | None:
    """Return the 95 % interval of how far `metric` lies below the baseline's, sample by sample.

    None: it is exact, since the two are the same, or there are no values of single samples.
    """
    own, other = variant.per_sample(metric.name), baseline.per_sample(metric.name)
    if variant is baseline or own is None or other is None or own.shape != other.shape:
        return None
    return drop_interval(pairs_of(other, own)) if own.dtype == other.dtype == bool else _mean_drop(other, own)


def pairs_of(one: Any, other: Any) -> Pairs:
    """Return how often two classifiers are right alike: both bool, shape `(samples,)`, true where the label is right."""
    both, broken, mended = (one & other).sum(), (one & ~other).sum(), (~one & other).sum()
    return Pairs(int(both), int(broken), int(mended), len(one) - int(both + broken + mended))


def _mean_drop(one: Any, other: Any) -> Interval:
    """Return the interval of a mean difference, whose pairs are values of one sample."""
    differences = one.astype("float64") - other.astype("float64")
    deviation = float(differences.std(ddof=1)) if len(differences) > 1 else 0.0
    return mean_interval(float(differences.mean()), deviation, len(differences))
