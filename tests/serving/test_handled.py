"""A model with its handlers around it: what cannot be put together is told, and who is asked alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.serving.test_groups import SPELL, texts

from modelyard.serving.errors import InputError
from modelyard.serving.handled import Handled
from modelyard.serving.handlers import Chain, Place

PLACE = Place()


class Boxes:
    """Answers each sample as many boxes as its number says."""

    def run(self, inputs: Any) -> Any:
        (count,) = inputs["n"].tolist()
        return {"boxes": np.ones((1, count, 4), np.float32)}


def most(place: Place, rows: int) -> Any:
    boxes, gives = place.tensor("boxes", shape=["n", 4]), place.tensor("first", shape=[rows, 4])
    return place.handler(
        lambda given: {"first": np.pad(given["boxes"], ((0, 0), (0, 9), (0, 0)))[:, :rows]}, [boxes], [gives]
    )


def test_a_model_that_answers_some_samples_with_more_is_asked_for_each_alone() -> None:
    found = Handled(Boxes(), Chain(after=(most(PLACE, 3),)), alone=True).run({"n": np.array([1, 4, 2])})
    assert found["first"].sum(axis=(1, 2)).tolist() == [4, 12, 8]
    with pytest.raises(
        InputError, match=r"answers 'boxes' have unlike shapes, \(1, 4\), \(4, 4\): send the samples one"
    ):
        Handled(Boxes(), Chain(), alone=True).run({"n": np.array([1, 4])})


def test_answers_as_long_as_their_samples_are_given_to_those_of_one_length_alone() -> None:
    class Same:
        def run(self, inputs: Any) -> dict[str, np.ndarray]:
            return {"codes": inputs["codes"]}

    model = Handled(Same(), Chain((SPELL,)))
    assert model.run(texts([b"ab", b"ba"]))["codes"].shape == (2, 2)
    with pytest.raises(InputError, match=r"answers 'codes' have unlike shapes, \(1,\), \(2,\): send the samples one"):
        model.run(texts([b"ab", b"b"]))
