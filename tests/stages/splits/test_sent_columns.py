"""Columns as clients send them: read when they are asked for, and refused where the handlers take something else."""

from __future__ import annotations

import numpy as np
import pytest
from tests.stages.splits.test_sent import PLACE, ragged

from modelyard.errors import DataError
from modelyard.serving.handler_tensor import Tensor
from modelyard.stages.splits.sent_columns import column_of


def test_numbers_become_those_that_the_handlers_take() -> None:
    assert column_of(np.arange(3), "train_x", PLACE.tensor("x", "float32")).dtype == np.float32
    with pytest.raises(DataError, match="train_x: is a list, not a numpy array"):
        column_of([1, 2], "train_x", None)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (PLACE.tensor("sound", shape=[4]), r"its samples are of several lengths, but the handlers take those of the shape \(4\)\n  pad them"),
        (PLACE.tensor("sound", "int32", ["n"]), r"is an array of float32, but the handlers take int32\n"),
        (PLACE.tensor("sound", "bytes"), r"is an array of float32, but the handlers take texts or bytes\n"),
    ],
)  # fmt: skip
def test_samples_of_several_lengths_that_the_handlers_do_not_take_are_told(tensor: Tensor, message: str) -> None:
    with pytest.raises(DataError, match=r"train_x\['sound'\]: " + message):
        column_of(ragged(1, 2), "train_x['sound']", tensor)
