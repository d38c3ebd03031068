"""Neighbours that are found block by block are those of the whole, and little of that is in memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.shared import Late

from modelyard_plugins.support import neighbours
from modelyard_plugins.support.neighbours import nearest, shared_neighbours

reference: Any = Late("sklearn.neighbors")


def by_scikit_learn(vectors: np.ndarray, count: int) -> list[list[int]]:
    """Return each sample's nearest ones; vectors of which two are all but as near make no example."""
    search: Any = reference.NearestNeighbors(metric="cosine", algorithm="brute").fit(vectors.astype(np.float64))
    distances, numbers = search.kneighbors(n_neighbors=len(vectors) - 1)
    assume((np.diff(distances, axis=1) > 1e-5).all())
    return [one[:count] for one in numbers.tolist()]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.integers(2, 24), st.integers(2, 6), st.integers(0, 2**32 - 1), st.data())
def test_neighbours_are_those_of_scikit_learn_however_blocks_are_cut(
    samples: int, width: int, seed: int, data: st.DataObject
) -> None:
    random, count = np.random.default_rng(seed), data.draw(st.integers(1, samples - 1))
    own, other = (random.normal(size=(samples, width)).astype(np.float32) for _ in range(2))
    pairs = zip(by_scikit_learn(own, count), by_scikit_learn(other, count), strict=True)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_ROWS", "_COLUMNS"):
            patch.setattr(neighbours, name, data.draw(st.integers(1, samples)))
        found = shared_neighbours(own, other, count)
    assert found.tolist() == [len({*a} & {*b}) / count for a, b in pairs]


def test_of_two_that_are_as_near_the_first_counts() -> None:
    same = np.array([[1, 0], [2, 0], [3, 0], [0, 1]], np.float32)
    assert nearest(same, slice(0, 4), 2).tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]


def test_many_vectors_stay_on_disk(tmp_path: Any) -> None:
    vectors = np.lib.format.open_memmap(tmp_path / "v.npy", mode="w+", dtype=np.float32, shape=(20_000, 256))
    vectors[:] = np.random.default_rng(0).normal(size=vectors.shape)
    tracemalloc.start()
    found = nearest(vectors, slice(5_000, 5_064), 10)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.shape == (64, 10)
    assert most < vectors.nbytes * 0.8
