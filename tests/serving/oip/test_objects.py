"""What stands where the protocol wants an object, its parameters or a flag."""

from __future__ import annotations

from typing import Any

import pytest

from modelyard.serving.oip.objects import as_object, flag, names, parameters_of
from modelyard.serving.tensors import TensorError


@pytest.mark.parametrize(("value", "said"), [([], "[]"), (None, "null"), ("a", '"a"'), (True, "true"), (1.5, "1.5")])
def test_what_is_no_object_is_quoted_as_json(value: Any, said: str) -> None:
    with pytest.raises(TensorError, match="an input is") as caught:
        as_object(value, "an input")
    assert str(caught.value) == f"an input is {said}, expected an object"


def test_an_object_is_given_as_it_is() -> None:
    value = {"a": 1}
    assert as_object(value, "it") is value
    assert parameters_of({"parameters": value}) is value


@pytest.mark.parametrize("value", [{}, {"parameters": None}, {"parameters": {}}])
def test_there_need_be_no_parameters(value: dict[str, Any]) -> None:
    assert parameters_of(value) == {}


@pytest.mark.parametrize("value", [[], "", 0, False])
def test_what_is_empty_and_no_object_is_refused_too(value: Any) -> None:
    with pytest.raises(TensorError, match="'parameters' is"):
        parameters_of({"parameters": value})


@pytest.mark.parametrize("default", [True, False])
def test_a_flag_that_is_not_there_is_its_default(default: bool) -> None:
    assert flag({}, "binary_data", default=default) is default
    assert flag({"binary_data": not default}, "binary_data", default=default) is not default


@pytest.mark.parametrize(("value", "said"), [(1, "1"), (None, "null"), ("true", '"true"')])
def test_a_flag_is_true_or_false(value: Any, said: str) -> None:
    with pytest.raises(TensorError) as caught:
        flag({"binary_data": value}, "binary_data", default=False)
    assert str(caught.value) == f"'binary_data' is {said}, expected true or false"


def test_names_are_written_in_quotes_in_their_order() -> None:
    assert names({"b": 1, "a": 2}) == "'b', 'a'"
