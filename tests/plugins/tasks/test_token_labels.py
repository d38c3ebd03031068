"""A class for each token: figures as scikit-learn has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.shared import Late

from modelyard.artifacts import Splits
from modelyard.errors import DataError
from modelyard.task import Answers
from modelyard.tensors import OutputFacts
from modelyard_plugins.tasks.token_labels import TokenLabels

reference: Any = Late("sklearn.metrics")

NAMES = ("noun", "verb", "other")
OUTPUT = OutputFacts(name="probabilities", shape=(4, 3), activation="softmax", labels=NAMES)
Array = np.ndarray[Any, Any]


def test_padding_does_not_count() -> None:
    x, y = np.zeros((3, 4), np.int32), np.array([[0, 1, 2, -100]] * 3)
    assert TokenLabels(-100).check(Splits(x, y, x, y, NAMES)) == OUTPUT
    assert TokenLabels(-100).stored(y)[0].tolist() == [0, 1, 2, -1]
    with pytest.raises(DataError, match=r"a token with the label -100(.|\n)*ignore = -100"):
        TokenLabels(None).check(Splits(x, y, x, y, NAMES))


@given(
    hnp.arrays(np.int32, (6, 4), elements=st.integers(-1, 2)),
    hnp.arrays(np.float32, (6, 4, 3), elements=st.floats(0, 1, width=32)),
)
def test_figures_are_those_of_scikit_learn_over_all_tokens_that_count(y: Array, own: Array) -> None:
    f1, accuracy = (one.metric for one in TokenLabels(None).measure(Answers(own, y, OUTPUT)).scores)
    counted, said = y != -1, own.argmax(axis=-1)
    truth, answer = y[counted], said[counted]
    if len(truth):
        each = reference.f1_score(truth, answer, average=None, labels=[0, 1, 2], zero_division=np.nan)
        assert list(f1.per_group.values()) == [None if np.isnan(one) else pytest.approx(float(one)) for one in each]
        assert accuracy.per_group == {
            name: pytest.approx((answer[truth == one] == one).mean()) if one in truth else None
            for one, name in enumerate(NAMES)
        }
