"""The words for where there is one tensor tell those apart who have several."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.facts import dataset_facts

from modelyard.errors import PluginError

ONE = dataset_facts(input_shape=(4,), class_names=("a", "b"))
LEFT = replace(ONE.input, name="left", shape=(2, 3))
TWO = replace(ONE, inputs=(LEFT, ONE.input))


def test_the_shape_of_a_sample_is_by_name_where_there_are_several() -> None:
    assert ONE.sample_shape == (4,)
    assert TWO.sample_shape == {"left": (2, 3), "input": (4,)}


def test_who_wants_the_only_input_is_told_of_all() -> None:
    with pytest.raises(
        PluginError, match=r"^there are 2 inputs \('left', 'input'\); one that has a single input is needed"
    ):
        _ = TWO.input_shape


def test_a_length_that_varies_is_none_in_a_shape() -> None:
    texts = replace(ONE, inputs=(replace(ONE.input, shape=("length", 3)),))
    assert texts.input_shape == (None, 3)


def test_how_many_numbers_an_answer_has_may_be_the_models_own_business() -> None:
    assert ONE.classes == 2
    assert replace(ONE, outputs=(replace(ONE.answer, shape=("width",), labels=()),)).classes is None
