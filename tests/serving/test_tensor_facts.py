from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modelyard import tensors
from modelyard.serving import tensor_facts

NUMBER = st.floats(-100, 100, width=32)


@given(
    hnp.arrays(st.sampled_from([np.uint8, np.float32]), (2, 3, 3), elements=st.integers(0, 255)),
    NUMBER,
    st.tuples(NUMBER, NUMBER, NUMBER),
    st.tuples(*[st.floats(0.125, 100, width=32)] * 3),
)
def test_preprocessing_is_the_one_of_the_evaluation(raw: np.ndarray, scale: Any, mean: Any, std: Any) -> None:
    ours = tensors.Preprocessing(scale=scale, mean=mean, std=std).apply(raw)

    served = tensor_facts.Preprocessing(scale, mean, std).apply(raw)

    assert served.dtype == ours.dtype == np.float32
    np.testing.assert_array_equal(served, ours)


@given(hnp.arrays(np.float32, (3, 4), elements=st.floats(-300, 300, width=32)))
def test_softmax_gives_probabilities_in_the_order_of_the_logits(logits: Any) -> None:
    probabilities = tensor_facts.softmax(logits)
    exact = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))

    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, exact / exact.sum(axis=1, keepdims=True), atol=1e-6)
