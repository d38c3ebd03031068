"""What a model's requests may hold: shapes, numbers of samples, lengths, memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.serving.errors import RequestError
from modelyard.serving.model import Facts
from modelyard.serving.served import Served, bounded
from modelyard.serving.tensor_facts import Input, Output
from modelyard.serving.tensors import TensorError

FLOAT = np.dtype("float32")


def served(*inputs: Input, outputs: tuple[Output, ...] = (), **bounds: Any) -> Served:
    return Served("m", "1", Facts(Path("m"), "onnx", inputs, outputs), **bounds)


ONE = served(Input("input", np.dtype("uint8"), (2,), value_range=(0, 16)), max_batch=3)
TWO = served(Input("a", FLOAT, ("t",)), Input("b", FLOAT, ("t", "", 2)), max_batch=3, max_length=9)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1, 2, 3]], r"input 'input' has shape \[1,3\], expected \[-1,2\]"),
        ([1, 2], r"input 'input' has shape \[2\], expected \[-1,2\]"),
        (1, r"input 'input' has shape \[\], expected \[-1,2\]"),
        (np.zeros((0, 2)), "input 'input' holds no samples"),
        (np.zeros((4, 2)), "Task size 4 is larger than maximum input batch size 3"),
        ([[1, 17]], "input 'input' holds 17; allowed: 0 to 16"),
    ],
)
def test_a_batch_is_checked(rows: object, message: str) -> None:
    with pytest.raises(TensorError, match=message):
        ONE.check({"input": np.array(rows, np.uint8)})


def test_the_range_includes_its_ends() -> None:
    batch = np.array([[0, 16]], np.uint8)

    assert ONE.check({"input": batch})["input"] is batch


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ((2, 3), (2, 4, 1, 2), r"input 'b' has shape \[2,4,1,2\]: t is 4, but 3 in input 'a'"),
        ((2, 3), (1, 3, 1, 2), "input 'b' holds 1 samples, but input 'a' holds 2"),
        ((2, 3), (2, 3, 1, 3), r"input 'b' has shape \[2,3,1,3\], expected \[-1,t,-1,2\]"),
        ((2, 3), (2, 3, 2), r"input 'b' has shape \[2,3,2\], expected \[-1,t,-1,2\]"),
        ((2, 10), (2, 10, 1, 2), r"input 'a' has shape \[2,10\]: t is 10; allowed: 1 to 9"),
        ((2, 9), (2, 9, 10, 2), r"input 'b' has shape \[2,9,10,2\]: an axis is 10; allowed: 1 to 9"),
        ((2, 9), (2, 9, 0, 2), r"input 'b' has shape \[2,9,0,2\]: an axis is 0; allowed: 1 to 9"),
    ],
)
def test_axes_of_one_name_are_of_one_length(a: tuple[int, ...], b: tuple[int, ...], message: str) -> None:
    with pytest.raises(TensorError, match=message):
        TWO.check({"b": np.zeros(b, FLOAT), "a": np.zeros(a, FLOAT)})


def test_axes_without_a_name_vary_by_themselves_and_the_order_is_the_models() -> None:
    found = TWO.check({"b": np.zeros((2, 3, 7, 2), FLOAT), "a": np.zeros((2, 3), FLOAT)})

    assert list(found) == ["a", "b"]


def test_the_longest_sample_and_its_answer_fit_sixteen_times_into_the_memory() -> None:
    model = served(Input("a", FLOAT, ("t",)), outputs=(Output("b", FLOAT, ("t", 3)),))

    assert bounded(model, 0, 16 * 16 * 100).max_length == 100
    assert bounded(model, 0, 16 * 16 * 100 - 1).max_length == 99
    assert bounded(model, 7, 1 << 20).max_length == 7
    assert bounded(model, 0, 1).max_length == 1
    assert bounded(ONE, 0, 1).inputs.keys() == {"input"}


def test_tensors_and_their_answer_have_a_bound_together_where_an_axis_varies() -> None:
    model = served(Input("a", FLOAT, ("t",)), outputs=(Output("b", FLOAT, ("t", 3)),), max_bytes=16 * 6)

    model.check({"a": np.zeros((2, 3), FLOAT)})
    with pytest.raises(RequestError, match="would take 1 MiB of memory; at most 0 MiB are given to one"):
        model.check({"a": np.zeros((1, 7), FLOAT)})
