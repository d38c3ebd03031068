"""Targets beside samples of several lengths."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from modelyard.tensors import InputFacts, OutputFacts
from modelyard_plugins.support.data.targets import Targets


def dataset(y: np.ndarray, shape: tuple[Any, ...], axes: tuple[Any, ...]) -> Any:
    facts = SimpleNamespace(
        outputs=(OutputFacts(name="tags", shape=shape),), inputs=(InputFacts(name="words", dtype="int32", shape=axes),)
    )
    return SimpleNamespace(y=lambda _split: y, facts=facts)


def test_targets_of_positions_are_as_long_as_the_longest_sample_beside_them() -> None:
    y = np.array([[1, 2, 3, 4], [5, -1, -1, -1], [6, 7, -1, -1]])
    targets = Targets(dataset(y, ("length", 9), ("length",)))
    assert targets.shape == (None,)
    assert targets.of(np.array([1, 2]), {"words": np.zeros((2, 2))}).tolist() == [[5, -1], [6, 7]]


def test_other_targets_stay_as_they_are() -> None:
    y = np.array([1, 0])
    targets = Targets(dataset(y, (2,), ("length",)))
    assert targets.shape == ()
    assert targets.of(np.array([1]), {"words": np.zeros((1, 5))}).tolist() == [0]
