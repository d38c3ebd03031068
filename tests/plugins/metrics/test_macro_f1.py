from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.support.test_scored import context
from tests.shared import Late

from modelyard.errors import DataError
from modelyard_plugins.metrics.macro_f1 import macro_f1

reference: Any = Late("sklearn.metrics")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_it_is_that_of_scikit_learn_of_the_classes_that_are_there_or_said(pairs: list[tuple[int, int]]) -> None:
    there, said = (np.array(one) for one in zip(*pairs, strict=True))
    assert macro_f1(context(np.eye(4)[said], there)) == pytest.approx(reference.f1_score(there, said, average="macro"))


def test_tokens_that_do_not_count_are_left_out() -> None:
    labels = np.array([[0, 1, -1], [1, -1, -1]])
    assert macro_f1(context(np.eye(2)[np.abs(labels)], labels)) == 1


def test_numbers_are_no_classes() -> None:
    with pytest.raises(DataError, match=r"wants classes; labels are float64, shape \(2,\)\n  leave \[tool"):
        macro_f1(context(np.ones((2, 1)), np.array([0.5, 2])))
