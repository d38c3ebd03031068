"""Samples of several lengths between handlers and a model: each is answered as it is alone, in the order in which they came."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.serving.errors import HandlerError, InputError
from modelyard.serving.groups import Group, alike, in_order, is_listed, merged
from modelyard.serving.handled import Handled
from modelyard.serving.handler_tensor import Tensor
from modelyard.serving.handlers import Chain, Handler, Place
from modelyard.serving.tensor_facts import BYTES

PLACE = Place()
CODES = PLACE.tensor("codes", "int64", ("letters",))
WORDS = st.lists(st.text("abc", min_size=1, max_size=5).map(str.encode), min_size=1, max_size=9)


def texts(values: list[bytes]) -> dict[str, np.ndarray]:
    array = np.empty(len(values), BYTES)
    array[:] = values
    return {"text": array}


def letters(given: Any) -> dict[str, Any]:
    """Make each text as many numbers as it has letters."""
    if b"" in given["text"].tolist():
        msg = "the text is empty"
        raise ValueError(msg)
    return {"codes": [np.frombuffer(one, np.uint8).astype(np.int64) for one in given["text"]]}


def half(given: Any) -> dict[str, Any]:
    """Leave out every other number, and refuse a `c` at the beginning."""
    if (given["codes"][:, 0] == ord("c")).any():
        msg = "it begins with c"
        raise ValueError(msg)
    return {"codes": given["codes"][:, ::2]}


SPELL = PLACE.handler(letters, [PLACE.tensor("text", "bytes")], [CODES])
HALF = PLACE.handler(half, [CODES], [PLACE.tensor("codes", "int64", ("fewer",))])


class Sums:
    """A model that answers the sum of a sample's numbers, and notes the shapes that it was given."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def run(self, inputs: Any) -> dict[str, np.ndarray]:
        codes = inputs["codes"]
        self.shapes.append(codes.shape)
        return {"sum": codes.sum(axis=1)}


@given(words=WORDS)
@settings(max_examples=80, deadline=None)
def test_each_is_answered_as_alone_and_those_of_one_length_together(words: list[bytes]) -> None:
    model = Sums()
    found = Handled(model, Chain((SPELL,))).run(texts(words))
    assert found["sum"].tolist() == [sum(one) for one in words]
    assert len(model.shapes) == len({len(one) for one in words})


@given(words=st.lists(st.text("ab", min_size=1, max_size=6).map(str.encode), min_size=1, max_size=9))
@settings(max_examples=80, deadline=None)
def test_a_handler_behind_takes_arrays_and_what_it_makes_alike_goes_together(words: list[bytes]) -> None:
    model = Sums()
    found = Handled(model, Chain((SPELL, HALF))).run(texts(words))
    assert found["sum"].tolist() == [sum(one[::2]) for one in words]
    assert len(model.shapes) == len({len(one[::2]) for one in words})


@pytest.mark.parametrize(("words", "row"), [([b"ab", b"a", b"cab"], 2), ([b"ab", b"ca", b"bab"], 1)])
def test_who_is_refused_is_told_by_its_place_among_all(words: list[bytes], row: int) -> None:
    with pytest.raises(InputError, match=f"input 'codes', sample {row}: it begins with c"):
        Handled(Sums(), Chain((SPELL, HALF))).run(texts(words))
    with pytest.raises(InputError, match=f"input 'text', sample {row}: the text is empty"):
        Handled(Sums(), Chain((SPELL,))).run(texts([one if place != row else b"" for place, one in enumerate(words)]))


def handler(tensor: Tensor, value: Any) -> Handler:
    return PLACE.handler(lambda _: {tensor.name: value}, [PLACE.tensor("text", "bytes")], [tensor])


def test_behind_the_model_all_are_of_one_shape() -> None:
    made = handler(PLACE.tensor("x", shape=("n",)), [[1.0, 2], [1]])
    with pytest.raises(HandlerError, match="gave samples of several lengths; only what stands before the model may"):
        made(texts([b"a", b"b"]))


def test_groups_are_put_together_by_shape_and_in_their_order() -> None:
    rows = alike([[np.zeros(2), np.zeros(1), np.zeros(2)], [np.zeros(()), np.zeros(()), np.zeros(())]], 3)
    assert [one.tolist() for one in rows] == [[0, 2], [1]]
    groups = [Group(one, {"x": one[:, None]}) for one in rows]
    assert in_order(groups).tolist() == [0, 2, 1]
    (whole,) = merged(groups)
    assert (whole.rows.tolist(), whole.tensors["x"].ravel().tolist()) == ([0, 1, 2], [0, 1, 2])
    assert groups[1].of(np.array([7, 8, 9])).rows.tolist() == [8]
    assert [is_listed(one, 2) for one in ([1, 2], (1, 2), np.zeros(2), np.zeros(2, object), [1])] == [True, True, False, True, False]  # fmt: skip
