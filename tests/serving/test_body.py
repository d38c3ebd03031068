"""Whether truth values may stand among the numbers of a request."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.serving.body import has_truth_values

VALUES = st.recursive(
    st.one_of(
        st.integers(-9, 9), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.text("truefalsé")
    ),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=8,
)
NAMES = st.dictionaries(st.text("truefalsé\\", min_size=1), st.one_of(st.text("rl\\\n"), st.booleans()), max_size=3)


def holds(value: object) -> bool:
    return isinstance(value, bool) or (isinstance(value, list) and any(map(holds, value)))


@given(NAMES, VALUES, st.booleans())
def test_none_is_overlooked_whatever_stands_beside_the_tensors(parameters: Any, value: Any, escapes: Any) -> None:
    beside = {"parameters": parameters}
    text = orjson.dumps({**beside, "data": value})
    if escapes and b"true" not in text:
        text = text.replace(b"r", b"\\u0072")

    assert has_truth_values(text, lambda: beside) or not holds(value)


@pytest.mark.parametrize(
    ("text", "beside", "may"),
    [
        ('{"data":[1,2.5e3,-7]}', {}, False),
        ('{"data":[1,true]}', {}, True),
        ('{"data":[false]}', {}, True),
        ('{"p":{"binary_data_output":true},"data":[1]}', {"p": {"binary_data_output": True}}, False),
        ('{"p":{"binary_data_output":true},"data":[true]}', {"p": {"binary_data_output": True}}, True),
        ('{"p":{"binary_data_output":true},"data":[false]}', {"p": {"binary_data_output": True}}, True),
        ('{"p":"\\u0072","data":[1]}', {"p": "r"}, False),
        ('{"p":"\\u0072r","data":[1]}', {"p": "rr"}, True),
        ('{"p":1e30,"r":123456789012345678901234567890,"data":[1]}', {"r": 1 << 80}, True),
    ],
)
def test_what_clients_write_into_parameters_is_no_truth_value_among_numbers(
    text: str, beside: dict[str, Any], may: bool
) -> None:
    assert has_truth_values(text.encode(), lambda: beside) is may


def test_letters_beside_the_tensors_are_counted_up_to_a_thousand() -> None:
    many = {"r": "r" * 5000}

    assert has_truth_values(orjson.dumps({**many, "data": [1]}), lambda: many)
