"""The value of each sample, in parts."""

from __future__ import annotations

import numpy as np

from modelyard_plugins.support.per_sample import PerSample


def test_parts_are_in_the_order_of_the_split() -> None:
    first, second = PerSample(), PerSample()
    first.add(np.array([True, False]))
    second.add(np.array([False]))
    second.add(np.array([True]))
    first.merge(second)
    assert first.values.tolist() == [True, False, False, True]
    assert first.values.dtype == bool
