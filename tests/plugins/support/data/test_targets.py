"""Targets beside samples of several lengths."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from modelyard.files.fields import joined
from modelyard.tensors import InputFacts, OutputFacts
from modelyard_plugins.support.data.targets import Targets


def dataset(y: np.ndarray, shape: tuple[Any, ...], axes: tuple[Any, ...]) -> Any:
    facts = SimpleNamespace(
        outputs=(OutputFacts(name="tags", shape=shape),), inputs=(InputFacts(name="words", dtype="int32", shape=axes),)
    )
    return SimpleNamespace(y=lambda _split: y, facts=facts, has_labels=True)


def test_targets_of_positions_are_as_long_as_the_longest_sample_beside_them() -> None:
    y = np.array([[1, 2, 3, 4], [5, -1, -1, -1], [6, 7, -1, -1]])
    targets = Targets(dataset(y, ("length", 9), ("length",)))
    assert targets.specs == ((None, None), y.dtype)
    found = targets.beside(targets.of(np.array([1, 2])), {"words": np.zeros((2, 2))})
    assert found.tolist() == [[5, -1], [6, 7]]


def test_other_targets_stay_as_they_are() -> None:
    y = np.array([1, 0])
    targets = Targets(dataset(y, (2,), ("length",)))
    assert targets.specs == ((None,), y.dtype)
    assert targets.beside(targets.of(np.array([1])), {"words": np.zeros((1, 5))}).tolist() == [0]


def test_of_several_outputs_those_that_have_positions_are_cut() -> None:
    y = joined({"tags": np.array([[1, 2, 3], [5, -1, -1]]), "kind": np.array([0, 1])})
    given = dataset(y, ("length", 9), ("length",))
    given.facts.outputs = (*given.facts.outputs, OutputFacts(name="kind", shape=(2,)))
    targets = Targets(given)
    assert {name: shape for name, (shape, _) in targets.specs.items()} == {"tags": (None, None), "kind": (None,)}
    found = targets.beside(targets.of(np.array([1])), {"words": np.zeros((1, 2))})
    assert {name: one.tolist() for name, one in found.items()} == {"tags": [[5, -1]], "kind": [1]}


def test_one_number_a_sample_beside_it_is_no_axis() -> None:
    assert Targets(dataset(np.array([1, 0]), (2,), ())).specs[0] == (None,)


def test_where_there_are_no_labels_they_are_the_numbers_of_the_samples() -> None:
    made = dataset(np.zeros(0), ("length",), ("length",))
    made.has_labels, made.facts.splits = False, {"train": SimpleNamespace(samples=4)}
    targets = Targets(made)
    assert targets.specs[0] == (None,)
    assert targets.beside(targets.of(np.array([3, 1])), {"words": np.zeros((2, 5))}).tolist() == [3, 1]
