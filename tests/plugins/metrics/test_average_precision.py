from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from tests.plugins.metrics.test_roc_auc import PAIRS
from tests.plugins.support.test_scored import context
from tests.shared import Late

from modelyard_plugins.metrics.average_precision import average_precision

reference: Any = Late("sklearn.metrics")


@given(PAIRS)
def test_it_is_that_of_scikit_learn_where_scores_are_alike_too(pairs: list[tuple[int, bool]]) -> None:
    scores, truth = (np.array(one, float) for one in zip(*pairs, strict=True))
    assume(truth.any())
    assert average_precision(context(scores[:, None], truth)) == pytest.approx(
        reference.average_precision_score(truth, scores)
    )


def test_of_several_labels_it_is_the_mean_of_those_that_there_are() -> None:
    answers, labels = np.random.default_rng(0).random((40, 3)), np.zeros((40, 3), np.uint8)
    labels[::3, 0] = labels[::5, 1] = 1
    wanted = [reference.average_precision_score(labels[:, n], answers[:, n]) for n in (0, 1)]
    assert average_precision(context(answers, labels)) == pytest.approx(np.mean(wanted))
