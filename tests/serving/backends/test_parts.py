"""Samples go through a model in parts, whatever it takes at once, and its answers are put together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.serving.backends.parts import InParts, cast, from_file, to_file, without_batch
from modelyard.serving.errors import InputError
from modelyard.serving.model import CHUNK, Facts
from modelyard.serving.tensor_facts import BYTES, Input, Output, Preprocessing

FLOAT = np.dtype("float32")
Arrays = list[np.ndarray]


class Model(InParts):
    """Answers what a function says, and notes how many samples came at once."""

    def __init__(self, answer: Callable[[Arrays], Arrays], facts: Facts, batch: int | None = None) -> None:
        super().__init__(facts, batch)
        self.answer, self.rows, self.given = answer, list[int](), list[Arrays]()

    def run_once(self, inputs: Arrays) -> Arrays:
        self.rows.append(len(inputs[0]))
        self.given.append(inputs)
        return self.answer(inputs)


def facts(inputs: Any = (("x", (2,)),), outputs: Any = (("y", (2,)),), **changes: Any) -> Facts:
    taken = tuple(one if isinstance(one, Input) else Input(one[0], FLOAT, one[1]) for one in inputs)
    answered = tuple(one if isinstance(one, Output) else Output(one[0], FLOAT, one[1]) for one in outputs)
    return Facts(Path("m.onnx"), "onnx", taken, answered, **changes)


def doubled(inputs: Arrays) -> Arrays:
    return [2 * one for one in inputs]


def numbers(rows: int, *axes: int) -> np.ndarray:
    return np.arange(rows * np.prod(axes, dtype=int), dtype=FLOAT).reshape(rows, *axes)


@given(rows=st.integers(0, 40), batch=st.none() | st.integers(1, 20), most=st.none() | st.integers(1, 20))
@pytest.mark.parametrize("axes", [(2,), ("t",)])
def test_answers_are_those_of_all_samples_in_their_order(
    rows: int, batch: int | None, most: int | None, axes: tuple[Any, ...]
) -> None:
    model = Model(doubled, facts([("x", axes)], [("y", axes)], batch=most), batch)

    found = model.run({"x": numbers(rows, 2)})["y"]

    if rows or axes == (2,):
        np.testing.assert_array_equal(found, 2 * numbers(rows, 2))
    assert (len(found), found.dtype) == (rows, FLOAT)
    if batch is not None:
        assert set(model.rows) <= {batch}, "it is always given as many as it takes"
    else:
        assert max(model.rows, default=0) <= min(CHUNK, most or CHUNK)


def test_one_input_and_several_are_run_alike() -> None:
    both = facts([("a", (2,)), ("b", ())], [("s", (2,)), ("d", ())])
    model = Model(lambda given: [given[0] + given[1][:, None], given[1] * 2], both)

    found = model.run({"b": numbers(20), "a": numbers(20, 2)})

    np.testing.assert_array_equal(found["s"], numbers(20, 2) + numbers(20)[:, None])
    np.testing.assert_array_equal(found["d"], numbers(20) * 2)
    assert model.rows == [16, 4]


def test_a_file_of_a_fixed_batch_is_filled_with_nothing_which_nobody_sees() -> None:
    text = facts([Input("x", BYTES, ())], [Output("y", np.dtype("int64"), ())])
    model = Model(lambda given: [np.array([len(one) for one in given[0]], "int64")], text, 3)

    found = model.run({"x": np.array([b"a", b"bb", b"ccc", b"dddd"], BYTES)})["y"]

    assert found.tolist() == [1, 2, 3, 4]
    assert [given[0].tolist() for given in model.given] == [[b"a", b"bb", b"ccc"], [b"dddd", b"", b""]]


def test_samples_are_normalized_and_answers_made_probabilities() -> None:
    known = facts(
        [Input("x", np.dtype("uint8"), (2,), Preprocessing(0.5, (1.0,), (2.0,)))], [Output("y", FLOAT, (2,), "softmax")]
    )
    for batch in (None, 1):
        model = Model(lambda given: [given[0]], known, batch)
        found = model.predict(np.array([[2, 10]], np.uint8))
        np.testing.assert_array_equal(model.given[0][0], np.array([[0, 2]], FLOAT))
        np.testing.assert_allclose(found, [[1 / (1 + np.e**2), np.e**2 / (1 + np.e**2)]], rtol=1e-6)


def test_samples_whose_answers_may_be_of_any_length_go_as_the_facts_allow() -> None:
    boxes = facts([("x", (2,))], [("y", ("n", 2))], batch=5)
    model = Model(lambda given: [given[0][:, None].repeat(3, 1)], boxes)

    assert model.run({"x": numbers(12, 2)})["y"].shape == (12, 3, 2)
    assert model.rows == [5, 5, 2]
    together = Model(lambda given: [given[0][:, None].repeat(3, 1)], facts([("x", (2,))], [("y", ("n", 2))]))
    together.run({"x": numbers(40, 2)})
    assert together.rows == [40], "its answers need not fit those of another run"


def test_answers_of_unlike_shapes_cannot_be_put_together() -> None:
    boxes = facts([("x", (2,))], [("y", ("n", 2))], batch=1)
    model = Model(lambda given: [np.ones((1, int(given[0][0, 0]), 2), FLOAT)], boxes)

    with pytest.raises(InputError, match=r"^the model answers shape \(2, 2\) to some samples and \(0, 2\) to others"):
        model.run({"x": numbers(2, 2)})


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize(("batch", "axes"), [(None, (2,)), (4, (2,)), (None, ("t",))])
def test_an_answer_of_another_shape_than_model_json_says_is_told(
    rows: int, batch: int | None, axes: tuple[Any, ...]
) -> None:
    model = Model(lambda given: [np.ones((len(given[0]), 3), FLOAT)], facts([("x", axes)], [("y", axes)]), batch)

    with pytest.raises(RuntimeError, match=rf"^m.onnx: output 'y' has shape \({rows}, 3\); its model.json says"):
        model.run({"x": numbers(rows, 2)})


def test_an_answer_without_the_axis_of_the_batch_is_told_with_what_to_write() -> None:
    model = Model(lambda _: [np.ones((9, 2), FLOAT)], facts())

    with pytest.raises(RuntimeError, match=r"has it no axis of the batch\? say so: batch = false"):
        model.run({"x": numbers(3, 2)})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "input 'x' is missing"),
        ({"x": numbers(2, 3)}, r"input 'x': samples have shape \[2, 3\], expected \[-1, 2\]"),
        ({"x": np.float32(1)}, r"input 'x': samples have shape \[\], expected \[-1, 2\]"),
    ],
)
def test_samples_that_are_none_are_a_clients_mistake(given: Any, message: str) -> None:
    for batch in (None, 4):
        with pytest.raises(InputError, match=message):
            Model(doubled, facts(), batch).run(given)


def test_lists_are_samples_too() -> None:
    lists: Any = {"x": [[1, 2], [3, 4]]}

    assert Model(doubled, facts()).run(lists)["y"].tolist() == [[2, 4], [6, 8]]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_axis_of_the_batch_is_where_the_file_has_it(axis: int) -> None:
    array, one = numbers(5, 2, 3), Input("x", FLOAT, (2, 3), batch_axis=axis)

    given = to_file(array, one)

    assert given.shape[axis] == 5
    assert without_batch(given.shape, one) == (2, 3)
    assert given.flags.c_contiguous
    np.testing.assert_array_equal(from_file(given, Output("y", FLOAT, (2, 3), batch_axis=axis)), array)


def test_a_file_without_an_axis_of_the_batch_takes_the_one_sample() -> None:
    array = numbers(1, 2, 3)

    given = to_file(array, Input("x", FLOAT, (2, 3), batch_axis=None))

    assert given.shape == (2, 3)
    assert without_batch((2, 3), Input("x", FLOAT, (2, 3), batch_axis=None)) == (2, 3)
    np.testing.assert_array_equal(from_file(given, Output("y", FLOAT, (2, 3), batch_axis=None)), array)


INT8, TRUTH = np.dtype("int8"), np.dtype("bool")
ONE = Input("x", FLOAT, (2,))


@pytest.mark.parametrize(
    ("values", "dtype", "message"),
    [
        (np.array([[1, 128]]), INT8, "^input 'x' holds 128; the model's own type there is int8$"),
        (np.array([[-129, 3]]), INT8, "input 'x' holds -129"),
        (np.array([[0, 2]]), TRUTH, "input 'x' holds 2; the model's own type there is bool"),
        (np.array([[np.nan, 1]], FLOAT), INT8, "input 'x' holds nan"),
        (np.array([[1, np.inf]], FLOAT), INT8, "input 'x' holds inf"),
    ],
)
def test_a_number_that_the_file_cannot_hold_is_refused(values: np.ndarray, dtype: np.dtype[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        cast(values, dtype, ONE)


def test_a_number_that_the_file_can_hold_is_kept() -> None:
    assert cast(np.array([[-128, 127]]), INT8, ONE).tolist() == [[-128, 127]]
    assert cast(np.array([[0, 1]]), TRUTH, ONE).tolist() == [[False, True]]
    assert cast(np.zeros((0, 2), np.int64), INT8, ONE).shape == (0, 2)
    whole = np.zeros((1, 2), INT8)
    assert cast(whole, INT8, ONE) is whole
    assert cast(np.array([[1e300]]), FLOAT, ONE).tolist() == [[np.inf]], "without a warning: the model sees infinity"
