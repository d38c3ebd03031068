from __future__ import annotations

import numpy as np
import pytest

from modelyard.metrics import Quantity
from modelyard.metrics.intervals import mean_interval, wilson_interval
from modelyard.metrics.sampled import mean_of

RIGHT = Quantity(name="right", better="higher", unit="fraction", group="class")
OFF = Quantity(name="off", better="lower")


def test_truth_values_are_a_proportion() -> None:
    found = mean_of(RIGHT, np.array([True] * 45 + [False] * 5), {"a": 0.9, "b": None})
    assert (found.name, found.value, found.sampled) == ("right", 0.9, True)
    assert found.interval == wilson_interval(45, 50)
    assert found.per_group == {"a": 0.9, "b": None}


def test_numbers_have_the_interval_of_a_mean() -> None:
    values = np.arange(40) / 10
    found = mean_of(OFF, values)
    assert found.value == pytest.approx(1.95)
    assert found.interval == pytest.approx(mean_interval(1.95, values.std(ddof=1), 40))
    assert found.low is not None
    assert found.high is not None
    assert found.low < 1.95 < found.high


@pytest.mark.parametrize("samples", [1, 29])
def test_too_few_numbers_have_no_ends(samples: int) -> None:
    assert mean_of(OFF, np.ones(samples)).interval == (None, None)
    low, high = mean_of(RIGHT, np.ones(samples, bool)).interval or (None, None)
    assert low is not None, "a proportion has an interval for any number of samples"
    assert high == 1
