"""What is known of samples and answers, whoever has them: a data set or a model."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from modelyard.errors import PluginError
from modelyard.signature import Axis
from modelyard.tensors import InputFacts, OutputFacts, Preprocessing

Shape = tuple[int | None, ...]
"""Axes without that of the batch; None: its length varies."""
SampleShape = Shape | dict[str, Shape]
"""The shape of one sample, without the axis of the batch: of its only input, or of each of several by name."""
_Tensor = TypeVar("_Tensor", InputFacts, OutputFacts)


class Tensors(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of samples and answers, and the words for where there is one tensor of each.

    Attributes:
        task: the name of the task that is learnt.
        inputs: the tensors of a raw sample, in order.
        outputs: the tensors that the model answers, in order.
    """

    task: str
    inputs: tuple[InputFacts, ...]
    outputs: tuple[OutputFacts, ...]

    @property
    def input(self) -> InputFacts:
        """The only input.

        Raises:
            PluginError: there are several.
        """
        return _only(self.inputs, "input")

    @property
    def answer(self) -> OutputFacts:
        """The only output.

        Raises:
            PluginError: there are several.
        """
        return _only(self.outputs, "output")

    @property
    def input_shape(self) -> Shape:
        """The shape of one sample, without the axis of the batch."""
        return _shape(self.input.shape)

    @property
    def sample_shape(self) -> SampleShape:
        """The shape of one sample; of a sample of several inputs, the shape of each by its name."""
        return self.shapes if len(self.inputs) > 1 else self.input_shape

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shape of each input of a sample by its name, without the axis of the batch."""
        return {one.name: _shape(one.shape) for one in self.inputs}

    @property
    def output_shape(self) -> Shape:
        """The shape of the answer to one sample, without the axis of the batch."""
        return _shape(self.answer.shape)

    @property
    def classes(self) -> int | None:
        """How many numbers an answer has along its last axis: one for each class, where there are some; None: as the model likes."""
        return self.output_shape[-1]

    @property
    def preprocessing(self) -> Preprocessing:
        """What must be applied to a raw sample."""
        return self.input.preprocessing

    @property
    def value_range(self) -> tuple[float, float] | None:
        """The lowest and highest value of a raw sample."""
        return self.input.value_range

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name for each number that the model answers; none where they have no names."""
        return self.answer.labels


def _only(tensors: tuple[_Tensor, ...], what: str) -> _Tensor:
    if len(tensors) != 1:
        names = ", ".join(repr(one.name) for one in tensors)
        msg = (
            f"there are {len(tensors)} {what}s ({names}); one that has a single {what} is needed\n"
            f"  take each by its name: facts.{what}s lists them, tensors(split) of a data set has the samples of several inputs"
        )
        raise PluginError(msg)
    return tensors[0]


def _shape(shape: tuple[Axis, ...]) -> Shape:
    return tuple(axis if isinstance(axis, int) else None for axis in shape)
