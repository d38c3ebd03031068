"""Call a module with the tensors of a sample: its only one, or several by their names; its answers, and labels, are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.tensors import input_dtype

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from modelyard.artifacts import Dataset
    from modelyard.tensors import InputFacts

Given = Any
"""A tensor, or where samples have several inputs a dict of tensors by their names."""


def call(module: Any, given: Given) -> Any:
    """Return what `module` answers to `given`; a program takes several as it was exported: by name, or by position."""
    if not isinstance(given, dict):
        return module(given)
    spec = getattr(module, "_in_spec", None)
    if spec is None or spec.children()[1].context:
        return module(**given)
    return module(*(given[node.name] for node in module.graph.nodes if node.op == "placeholder"))


def in_float32(answer: Any) -> Any:
    """Return what a module answers as float32: a tensor, or several by their names."""
    return {name: one.float() for name, one in answer.items()} if isinstance(answer, dict) else answer.float()


def many(labels: Any) -> int:
    """Return of how many samples these are the labels: a tensor, or several by their names."""
    return len(_first(labels))


def place_of(labels: Any) -> Any:
    """Return the device that labels are on."""
    return _first(labels).device


def _first(labels: Any) -> Any:
    return next(iter(labels.values())) if isinstance(labels, dict) else labels


def tensors(inputs: Sequence[InputFacts], arrays: Mapping[str, NDArray[Any]], device: Any = None) -> Given:
    """Return arrays, by the names that a sample's inputs have, as a module takes them: by those that its file has."""
    import torch

    made = {one.tensor or one.name: torch.from_numpy(arrays[one.name]).to(device) for one in inputs}
    return made if len(made) > 1 else next(iter(made.values()))


def example_shapes(dataset: Dataset) -> dict[str, tuple[int, ...]]:
    """Return the shape of a sample by input; an axis that varies is as long as that of the middlemost training sample.

    It is 2 at least: torch.export takes an axis of 1 for one that is always so.
    """
    import numpy as np

    lengths = {axis: max(2, int(np.median(each))) for axis, each in dataset.lengths("train").items()}
    return {
        one.name: tuple(axis if isinstance(axis, int) else lengths[axis] for axis in one.shape)
        for one in dataset.facts.inputs
    }


def varying(inputs: Sequence[InputFacts]) -> dict[str, tuple[int, ...]]:
    """Return which axes of each input of a module vary, beside that of the batch, which is axis 0, by the names of its file."""
    found = {one.tensor or one.name: _varying(one) for one in inputs}
    return {name: axes for name, axes in found.items() if axes}


def _varying(one: InputFacts) -> tuple[int, ...]:
    return tuple(number for number, axis in enumerate(one.shape, 1) if isinstance(axis, str))


def blank(inputs: Sequence[InputFacts], shapes: Mapping[str, tuple[int, ...]]) -> Given:
    """Return two samples of zeros as a module takes them: inputs of these shapes by name, the batch left out."""
    import numpy as np

    zeros = {one.name: np.zeros((2, *shapes[one.name]), input_dtype(one.dtype)) for one in inputs}
    return tensors(inputs, zeros)
