"""What stands around a model in the server: chains of handlers, what they refuse, and what clients are told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.serving.chains import PLACE, TEXT, Same, count, facts, spec, texts

from modelyard.serving.errors import HandlerError, InputError
from modelyard.serving.handled import Handled
from modelyard.serving.handler_tensor import Tensor
from modelyard.serving.handlers import Chain
from modelyard.serving.handling import handled
from modelyard.serving.served import Served
from modelyard.serving.tfserving.inputs import read_document


def test_clients_may_leave_a_number_out_where_the_handler_says_so() -> None:
    _, seen = handled(Same(), facts(), spec(before=["gaps"]))
    served = Served("net", "1", seen)

    _, found = read_document({"instances": [None, 7, 1.5]}, served, literals=True)

    assert np.array_equal(found["age"], [np.nan, 7, 1.5], equal_nan=True)
    with pytest.raises(HandlerError, match="tensor 'n': may_miss: a number of int64 cannot be NaN"):
        PLACE.tensor("n", "int64", may_miss=True)


def test_a_few_samples_at_a_time_go_all_the_way() -> None:
    own = Same()
    model, _ = handled(own, facts(), spec(before=["count"]))

    found = model.run(texts(*[b"a" * (1 + row) for row in range(40)]))

    assert own.rows == [16, 16, 8]
    assert found["probabilities"][:, 0].tolist() == list(range(1, 41))


@pytest.mark.parametrize(("rows", "wrong"), [(1, 0), (3, 1), (40, 37)])
def test_a_sample_that_is_none_is_told_with_its_number(rows: int, wrong: int) -> None:
    model, _ = handled(Same(), facts(), spec(before=["count"]))
    sent = [b"a"] * rows
    sent[wrong] = b""

    with pytest.raises(InputError) as told:
        model.run(texts(*sent))

    assert str(told.value) == f"input 'text', sample {wrong}: the text is empty"


def test_what_only_all_of_them_together_are_refused_for_has_no_number() -> None:
    def run(given: Any) -> dict[str, np.ndarray]:
        if len(given["text"]) > 1:
            msg = "only one at a time"
            raise ValueError(msg)
        return {"counts": np.zeros((1, 3), np.float32)}

    handler = PLACE.handler(run, [TEXT], [Tensor("counts", shape=(3,))])
    with pytest.raises(InputError, match=r"^input 'text': only one at a time$"):
        Handled(Same(), Chain((handler,))).run(texts(b"a", b"b"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"other": []}, "gave 'other'; it says 'counts'"),
        ([1], "gave a list; it says 'counts'"),
        (
            {"counts": np.zeros((1, 4), np.float32)},
            r"gave 'counts' of the shape \(1, 4\) for 1 samples; it says \(1, 3\)",
        ),
        ({"counts": np.zeros((2, 3), np.float32)}, r"gave 'counts' of the shape \(2, 3\)"),
        ({"counts": [["a", "b", "c"]]}, "gave 'counts' as .*; it says float32"),
    ],
)
def test_a_handler_that_does_not_give_what_it_says_is_told(given: Any, message: str) -> None:
    handler = PLACE.handler(lambda _: given, [TEXT], [Tensor("counts", shape=(3,))])
    with pytest.raises(HandlerError, match=message):
        handler(texts(b"a"))


def test_an_error_behind_the_model_is_no_client_s_mistake() -> None:
    def run(_: Any) -> dict[str, Any]:
        msg = "too wild"
        raise ValueError(msg)

    scores = Tensor("probabilities", shape=("classes",))
    model = Handled(Same(), Chain((count(PLACE),), (PLACE.handler(run, [scores], [scores]),)))
    with pytest.raises(HandlerError, match="too wild"):
        model.run(texts(b"a"))


def test_a_place_makes_no_tensors_of_unknown_types() -> None:
    with pytest.raises(HandlerError, match=r"no dtype 'float', did you mean 'float64'\?\n  allowed: bool"):
        PLACE.tensor("x", "float")
    with pytest.raises(HandlerError, match="takes one tensor or more"):
        PLACE.handler(dict, [], [TEXT])
