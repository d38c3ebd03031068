from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.shared import array

from modelyard.artifacts import Splits
from modelyard.errors import DataError
from modelyard.stages.splits.given_labels import with_label_arrays

X = np.zeros((2, 3), np.float32)


@pytest.mark.parametrize(
    ("labels", "shape", "kind"),
    [([0, 1], (2,), "i"), ([[0.5, 1], [2, 3]], (2, 2), "f"), (("a", "bc"), (2,), "O"), ([np.int8(1), 0], (2,), "i")],
)
def test_a_list_of_labels_becomes_an_array(labels: Any, shape: tuple[int, ...], kind: str) -> None:
    splits = with_label_arrays(Splits(X, labels, X, labels, test_sets={"night": (X, labels)}))
    for given in (splits.train_y, splits.test_y, splits.test_sets["night"][1]):
        found = array(given)
        assert (found.shape, found.dtype.kind, found.tolist()) == (shape, kind, list(labels))


def test_arrays_and_nothing_stay_what_they_are() -> None:
    y = np.arange(2)
    assert with_label_arrays(Splits(X, y, X, None)).train_y is y
    assert with_label_arrays(Splits(X, None, X, None)).test_y is None


def test_labels_of_several_shapes_are_told() -> None:
    with pytest.raises(DataError, match=r"train_y: its labels are of several shapes\n  give all the same; where .* -1"):
        with_label_arrays(Splits(X, [[1], [1, 2]], X, None))
