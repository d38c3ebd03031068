from __future__ import annotations

import numpy as np
import pytest

from modelyard.artifacts import Splits
from modelyard.errors import DataError

X, Y = np.zeros((2, 3), "float32"), np.array([0, 1])


def test_a_task_gets_the_labels_and_names_of_its_output() -> None:
    splits = Splits(X, Y, X, None, ("a", "b"))
    assert splits.labels("train") is Y
    assert splits.labels("test") is None
    assert splits.names == ("a", "b")


def test_labels_of_several_outputs_are_refused_where_one_is_learnt() -> None:
    splits = Splits(X, {"left": Y, "right": Y}, X, Y, {"left": ("a", "b")})
    with pytest.raises(DataError, match=r"^train_y: is of several outputs \(left, right\), but one is learnt\n  give"):
        splits.labels("train")
    with pytest.raises(DataError, match=r"^class_names: is of several outputs \(left\)"):
        _ = splits.names
