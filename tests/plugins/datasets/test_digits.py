from __future__ import annotations

import numpy as np
from tests.plugins.conftest import Bench
from tests.shared import array

from modelyard_plugins.datasets.digits import digits


def test_every_digit_is_split_in_the_same_proportion(bench: Bench) -> None:
    splits = digits(bench.stage(), test_fraction=0.25)
    train_x = array(splits.train_x)
    assert train_x.shape[1:] == (8, 8, 1)
    assert train_x.dtype == np.uint8
    assert len(train_x) + len(splits.test_x) == 1797
    trained, tested = np.bincount(array(splits.train_y)), np.bincount(array(splits.test_y))
    there_are = trained + tested
    assert np.abs(tested - there_are / 4).max() <= 0.5
    assert list(splits.class_names) == [str(d) for d in range(10)]


def test_the_seed_decides_the_split_and_nothing_else_does(bench: Bench) -> None:
    first, again, other = (array(digits(bench.stage(seed)).test_x) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
