from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.signature import Signature, TensorSpec

AXES = st.one_of(st.integers(0, 2**31), st.text(max_size=8))
TENSORS = st.builds(
    TensorSpec,
    name=st.text(max_size=8),
    dtype=st.sampled_from(["float32", "int64", "bytes", ""]),
    shape=st.none() | st.lists(AXES, max_size=4).map(tuple),
)


@given(st.builds(Signature, st.lists(TENSORS).map(tuple), st.lists(TENSORS).map(tuple)))
def test_a_signature_comes_back_from_json_as_it_was(signature: Signature) -> None:
    assert msgspec.json.decode(msgspec.json.encode(signature), type=Signature) == signature


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (TensorSpec("x", "float32", ("", 8, "time")), "'x', float32 (any, 8, time)"),
        (TensorSpec("y", "", None), "'y', of an unknown type"),
        (TensorSpec("n", "int64", ()), "'n', int64 ()"),
    ],
)
def test_a_tensor_is_told_in_one_phrase(tensor: TensorSpec, text: str) -> None:
    assert str(tensor) == text
