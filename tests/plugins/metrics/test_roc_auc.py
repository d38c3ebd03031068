from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.plugins.support.test_scored import context
from tests.shared import Late

from modelyard_plugins.metrics.roc_auc import roc_auc

reference: Any = Late("sklearn.metrics")

PAIRS = st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=4, max_size=40)


@given(PAIRS)
def test_the_area_is_that_of_scikit_learn_where_scores_are_alike_too(pairs: list[tuple[int, bool]]) -> None:
    scores, truth = (np.array(one, float) for one in zip(*pairs, strict=True))
    assume(0 < truth.sum() < len(truth))
    value, low, high = roc_auc(context(scores[:, None], truth))
    assert value == pytest.approx(reference.roc_auc_score(truth, scores))
    assert low is not None
    assert high is not None
    assert 0 <= low <= value <= high <= 1


def test_of_several_classes_it_is_the_mean_of_each_against_the_rest() -> None:
    random = np.random.default_rng(0)
    labels, answers = np.arange(60) % 3, random.dirichlet(np.ones(3), 60)
    value, *ends = roc_auc(context(answers, labels))
    assert value == pytest.approx(reference.roc_auc_score(labels, answers, multi_class="ovr"))
    assert ends == [None, None]


def test_the_interval_holds_the_area_of_endless_samples_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    wanted, inside = 0.7602, 0  # two normal distributions, one deviation apart: Phi(1 / sqrt(2))
    for _ in range(300):
        truth = np.arange(120) % 4 == 0
        found: Any = roc_auc(context((random.normal(size=120) + truth)[:, None], truth.astype(int)[:, None]))
        inside += found[1] <= wanted <= found[2]
    assert 0.9 <= inside / 300 <= 0.98


def test_where_all_samples_are_alike_there_is_no_area() -> None:
    assert roc_auc(context(np.ones((3, 1)), np.ones(3))) == (0.0, None, None)
