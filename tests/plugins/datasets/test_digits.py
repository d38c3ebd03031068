from __future__ import annotations

import numpy as np
from tests.plugins.conftest import Bench

from modelyard_plugins.datasets.digits import digits


def test_every_digit_is_split_in_the_same_proportion(bench: Bench) -> None:
    splits = digits(bench.stage(), test_fraction=0.25)
    assert splits.train_x.shape[1:] == (8, 8, 1)
    assert splits.train_x.dtype == np.uint8
    assert len(splits.train_x) + len(splits.test_x) == 1797
    there_are = np.bincount(splits.train_y) + np.bincount(splits.test_y)
    assert np.abs(np.bincount(splits.test_y) - there_are / 4).max() <= 0.5
    assert list(splits.class_names) == [str(d) for d in range(10)]


def test_the_seed_decides_the_split_and_nothing_else_does(bench: Bench) -> None:
    first, again, other = (digits(bench.stage(seed)) for seed in (0, 0, 1))
    assert np.array_equal(first.test_x, again.test_x)
    assert not np.array_equal(first.test_x, other.test_x)
