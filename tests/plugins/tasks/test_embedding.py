from __future__ import annotations

import numpy as np
import pytest

from modelyard.artifacts import Splits
from modelyard.task import Answers
from modelyard.tensors import OutputFacts
from modelyard_plugins.tasks.embedding import Embedding

OUTPUT = OutputFacts(name="embedding", shape=(8,))
VECTORS = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)


def measured(own: np.ndarray, baseline: np.ndarray, neighbours: int = 5) -> dict[str, float]:
    found = Embedding(neighbours).measure(Answers(own, None, OUTPUT, baseline))
    return {one.metric.name: one.metric.value for one in found.scores}


def test_no_labels_are_needed_and_the_model_says_how_long_a_vector_is() -> None:
    x = np.zeros((3, 2), np.float32)
    assert Embedding(1).check(Splits(x, None, x, None)).shape == ("width",)


def test_the_baseline_agrees_with_itself_and_scale_does_not_matter() -> None:
    assert measured(VECTORS, VECTORS) == pytest.approx({"cosine": 1, "same_neighbours": 1})
    assert measured(VECTORS * 3, VECTORS) == pytest.approx({"cosine": 1, "same_neighbours": 1})


def test_noise_turns_vectors_and_their_neighbours() -> None:
    noisy = VECTORS + np.random.default_rng(1).normal(size=VECTORS.shape).astype(np.float32)
    found = measured(noisy, VECTORS)
    assert 0.5 < found["cosine"] < 0.9
    assert 0 < found["same_neighbours"] < 0.9


def test_neighbours_are_the_nearest_by_cosine() -> None:
    own = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], np.float32)
    found = Embedding(1).measure(Answers(own, None, OUTPUT, own[:, ::-1])).scores[1]
    assert found.per_sample is not None
    assert found.per_sample.tolist() == [1, 1, 1, 1]


def test_a_vector_that_points_elsewhere_counts() -> None:
    other = VECTORS.copy()
    other[7] *= -1
    assert Embedding(5).agreement(other, VECTORS).differ == 1
    assert Embedding(5).agreement(VECTORS, VECTORS) == (0, 0)
