"""What a handler gives is what it says, or the message names both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.serving.test_groups import PLACE, handler, texts

from modelyard.serving.errors import HandlerError
from modelyard.serving.handler_tensor import Tensor


def test_samples_are_of_several_lengths_only_where_an_axis_has_a_name() -> None:
    lists = [[1.0, 2.0], [3.0]]
    assert [one.tolist() for one in Tensor("x", shape=("n",)).each(lists, 2) or ()] == lists
    assert not [
        one
        for one in (Tensor("x", shape=(2,)), Tensor("x", shape=("...",)), Tensor("x", "bytes", ("n",)))
        if one.varies
    ]
    assert Tensor("x", shape=("n",)).each(np.zeros((2, 3)), 2) is None


def test_an_axis_of_one_name_is_of_one_length() -> None:
    lengths: dict[str, int] = {}
    assert Tensor("x", "int64", ("n",)).array([[1, 2]], 1, lengths).dtype == np.int64
    with pytest.raises(HandlerError, match=r"gave 'y' of the shape \(1, 3\) for 1 samples; it says \(1, 'n'\), n = 2"):
        Tensor("y", shape=("n",)).array([[1.0, 2, 3]], 1, lengths)
    assert Tensor("z", "int32", ("m",)).array([[]], 1, lengths).dtype == np.int32


@pytest.mark.parametrize(
    ("tensor", "value", "message"),
    [
        (PLACE.tensor("x", shape=(2,)), [[1.0, 2], [1]], r"gave 'x' as samples of unlike shapes; it says \(2, 2\), and an axis"),
        (PLACE.tensor("x", shape=("n",)), [[1.0, 2]], r"gave 'x' of the shape \(1, 2\) for 2 samples"),
        (PLACE.tensor("x", shape=("n", 2)), [np.zeros((3, 2)), np.zeros((1, 3))], r"gave 'x' of the shape \(1, 1, 3\) for 1 samples"),
        (PLACE.tensor("x", "int32", ("n",)), [[1.5, 2], [1]], r"gave 'x' as float64; it says int32"),
        (PLACE.tensor("x", shape=("n",)), [[[1.0], [1, 2]], [1]], r"gave 'x' with a sample that is no array of numbers"),
    ],
)  # fmt: skip
def test_what_a_handler_does_not_say_is_told(tensor: Tensor, value: Any, message: str) -> None:
    with pytest.raises(HandlerError, match=message):
        handler(tensor, value).groups(texts([b"a", b"b"]))
