from __future__ import annotations

import numpy as np

from modelyard.stages.splits.column import Column


def column(*, is_named: bool, axis: str = "") -> Column:
    train, test = np.zeros((4, 6, 3), "float32"), np.zeros((2, 5, 3), "float32")
    return Column("ids", train, test, None, is_named=is_named, is_scaled=False, axis=axis)


def test_the_axis_along_which_samples_vary_stands_in_the_shape_of_one() -> None:
    assert column(is_named=True).shape == (6, 3)
    assert column(is_named=True, axis="length").shape == ("length", 3)


def test_an_array_is_called_as_the_data_set_gives_it() -> None:
    assert [place for place, _ in column(is_named=True).arrays] == ["train_x['ids']", "test_x['ids']"]
    assert [place for place, _ in column(is_named=False).arrays] == ["train_x", "test_x"]
