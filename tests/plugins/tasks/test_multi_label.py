from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.shared import Late

from modelyard.artifacts import Splits
from modelyard.errors import DataError, PluginError
from modelyard.task import Answers
from modelyard.tensors import OutputFacts
from modelyard_plugins.tasks.multi_label import MultiLabel

reference: Any = Late("sklearn.metrics")

NAMES = ("red", "round", "large")
OUTPUT = OutputFacts(name="probabilities", shape=(3,), activation="sigmoid", labels=NAMES)
Y = np.eye(3, dtype=np.uint8)[np.arange(6) % 3]
X = np.zeros((6, 4), np.float32)


def test_a_model_answers_a_probability_for_each_label() -> None:
    assert MultiLabel(0.5).check(Splits(X, Y, X, Y, NAMES)) == OUTPUT
    assert MultiLabel(0.5).counts(Y, OUTPUT) == (2, 2, 2)


@pytest.mark.parametrize(
    ("y", "names", "message"),
    [
        (Y[:, 0], NAMES, r"train_y: labels are uint8, shape \(6,\)\n  .*shape \(samples, 3\)"),
        (Y * 2, NAMES, r"train_y: the labels of sample 0 are \[2, 0, 0\]\n  allowed: 0 and 1"),
        (Y * [1, 1, 0], NAMES, r"train_y: no sample has the label 'large'"),
        (Y, ("a", "a", "b"), "class_names: 'a' is there twice"),
        (None, NAMES, "train_y: there is none"),
    ],
)
def test_other_labels_are_refused(y: Any, names: tuple[str, str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        MultiLabel(0.5).check(Splits(X, y, X, y, names))


@given(
    hnp.arrays(np.uint8, (12, 3), elements=st.integers(0, 1)),
    hnp.arrays(np.float32, (12, 3), elements=st.floats(0, 1, width=32)),
)
def test_figures_are_those_of_scikit_learn(y: Any, own: Any) -> None:
    found = MultiLabel(0.5).measure(Answers(own, y, OUTPUT)).scores
    said = (own >= 0.5).astype(np.uint8)
    f1 = reference.f1_score(y, said, average=None, zero_division=np.nan)
    assert list(found[0].metric.per_group.values()) == [
        None if np.isnan(one) else pytest.approx(float(one)) for one in f1
    ]
    assert found[3].metric.value == pytest.approx(reference.accuracy_score(y, said))


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(PluginError, match=r"test sample 5 holds what is no probability: \[0.5, 1.5, 0.0\]"):
        MultiLabel(0.5).check_answers(np.array([[0, 1, 0], [0.5, 1.5, 0]], np.float32), 4)
    with pytest.raises(PluginError, match="no probability"):
        MultiLabel(0.5).check_answers(np.array([[np.nan, 1, 0]], np.float32), 0)


def test_two_models_agree_where_they_say_the_same_labels() -> None:
    own, other = np.array([[0.4, 0.9, 0]], np.float32), np.array([[0.6, 0.9, 0]], np.float32)
    assert MultiLabel(0.5).agreement(own, other) == (1, pytest.approx(0.2, abs=1e-6))
    assert MultiLabel(0.7).agreement(own, other).differ == 0
