from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.serving import walk

from modelyard.serving import tensors
from modelyard.serving.tensor_facts import DTYPES

DTYPE = st.sampled_from([np.dtype(name) for name in DTYPES if name != "bytes"])
LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.integers(0, 255), st.floats(), st.text(max_size=3)
)
NESTED = st.recursive(
    LEAF, lambda item: st.lists(item, max_size=4) | st.dictionaries(st.text(max_size=3), item), max_leaves=24
)


@st.composite
def evenly(draw: Any) -> Any:
    """Lists nested evenly, so that most of them are tensors."""
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, max_side=3))
    leaf = draw(st.sampled_from([st.integers(0, 300), st.integers(-130, 130), st.floats(), st.booleans(), LEAF]))
    flat = draw(st.lists(leaf, min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    array = np.empty(shape, object)
    array.reshape(-1)[:] = flat
    return array.tolist()


def outcome(value: Any, dtype: Any, *, has_literals: Any) -> Any:
    try:
        return tensors.dense(value, dtype, has_literals=has_literals)
    except tensors.TensorError as exc:
        return str(exc)


@given(NESTED | evenly(), DTYPE)
def test_what_is_found_at_once_is_what_a_walk_over_every_value_finds(value: Any, dtype: Any) -> None:
    """`has_literals` is what the server computes: whether `true` or `false` may be in the text."""
    text = json.dumps(value)

    walked = walk.outcome(value, dtype)
    for literals in {True, "true" in text or "false" in text}:
        found = outcome(value, dtype, has_literals=literals)
        if isinstance(walked, str):
            assert found == walked
        else:
            assert found.dtype == walked.dtype == dtype
            np.testing.assert_array_equal(found, walked)


@given(DTYPE.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(max_dims=4, max_side=4))))
def test_what_numpy_lists_comes_back(array: Any) -> None:
    dense = tensors.dense(array.tolist(), array.dtype)

    assert dense.dtype == array.dtype
    np.testing.assert_array_equal(dense, array)


@given(DTYPE.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=2, max_dims=3, max_side=4))))
def test_bytes_come_back(array: Any) -> None:
    data = array.astype(array.dtype.newbyteorder("<")).tobytes()
    value = {"b64": base64.b64encode(data).decode()}

    for shape in (array.shape, (-1, *array.shape[1:])):
        np.testing.assert_array_equal(tensors.from_bytes(data, array.dtype, shape), array)
        np.testing.assert_array_equal(tensors.from_b64(value, array.dtype, shape), array)


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        (256, "uint8", "JSON Value: 256 Type: Number is not of expected type: uint8"),
        (-1, "uint8", "JSON Value: -1 Type: Number is not of expected type: uint8"),
        (1.0, "uint8", "JSON Value: 1.0 Type: Number is not of expected type: uint8"),
        ([1, True], "uint8", "JSON Value: true Type: True is not of expected type: uint8"),
        (["1"], "uint8", 'JSON Value: "1" Type: String is not of expected type: uint8'),
        ([None], "float32", "JSON Value: null Type: Null is not of expected type: float"),
        ([{}], "float32", "JSON Value: {} Type: Object is not of expected type: float"),
        ([1e39], "float32", "Cannot convert JSON value: 1e+39 to float without loss of precision."),
        ([1], "bool", "JSON Value: 1 Type: Number is not of expected type: bool"),
        ([[1], 2], "uint8", "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
        ([1, [2]], "uint8", "Encountered list at unexpected level: 1 expected < 1"),
        ([[1], [2, 3]], "uint8", "Encountered list at unexpected size: 2 at level: 1 expected size: 1"),
    ],
)
def test_errors_are_in_tf_servings_words(value: float | list[Any], dtype: str, message: str) -> None:
    assert outcome(value, np.dtype(dtype), has_literals=True) == message
    if value != [1, True]:
        assert outcome(value, np.dtype(dtype), has_literals=False) == message


def test_a_number_may_be_missing_where_the_tensor_says_so() -> None:
    found = tensors.dense([[1, None], [None, 2.5]], np.dtype(np.float32), has_literals=False, may_miss=True)
    assert np.array_equal(found, [[1, np.nan], [np.nan, 2.5]], equal_nan=True)
    with pytest.raises(tensors.TensorError, match="Type: String is not of expected type: float"):
        tensors.dense([None, "x"], np.dtype(np.float32), may_miss=True)


def test_deep_nesting_is_an_error() -> None:
    value: object = 1
    for _ in range(900):
        value = [value]

    assert "unexpected level" in outcome(value, np.dtype("uint8"), has_literals=False)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"b64": "AAA"}, "Unable to base64 decode"),
        ({"b64": "*"}, "Unable to base64 decode"),
        ({"b64": "AAAA"}, r"3 bytes do not fit float32 of shape \[2\] \(8 bytes\)"),
    ],
)
def test_bad_bytes_are_an_error(value: dict[str, str], message: str) -> None:
    with pytest.raises(tensors.TensorError, match=message):
        tensors.from_b64(value, np.dtype("float32"), (2,))


def test_a_long_value_is_cut_short_in_a_message() -> None:
    assert len(tensors.text(list(range(1_000_000)))) < 300


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=9))
def test_texts_come_back(values: Any) -> None:
    array = tensors.texts(values)

    found = tensors.from_bytes(tensors.to_bytes(array), array.dtype, (len(values), 1))
    assert found.ravel().tolist() == values
    encoded = [{"b64": base64.b64encode(value).decode()} for value in values]
    assert tensors.dense(encoded, array.dtype).tolist() == values
