"""A metric that is the mean of one value for each test sample, with the interval that follows from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.metrics.intervals import mean_interval, wilson_interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelyard.metrics import Interval, Metric, Quantity


def mean_of(quantity: Quantity, values: Any, per_group: Mapping[str, float | None] | None = None) -> Metric:
    """Return the mean of `values`, shape `(samples,)`: of truth values a proportion, else of numbers.

    Args:
        quantity: what is measured.
        values: its value for each test sample.
        per_group: the value of each group.
    """
    mean, samples = float(values.mean()), len(values)
    interval: Interval
    if values.dtype == bool:
        interval = wilson_interval(int(values.sum()), samples)
    else:
        interval = mean_interval(mean, float(values.std(ddof=1)) if samples > 1 else 0.0, samples)
    return msgspec.structs.replace(quantity.of(mean, interval, per_group), sampled=True)
