"""What both backends have in common: samples go through the model in parts, and its answers are put together."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..model import CHUNK
from ..tensor_facts import BYTES, fits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ..model import Facts
    from ..tensor_facts import Input, Output


class InParts(ABC):
    """A model that is loaded.

    Attributes:
        facts: what `model.json` says.
        batch: how many samples the model takes at once, always; None: any number.
    """

    def __init__(self, facts: Facts, batch: int | None) -> None:
        self.facts, self.batch = facts, batch
        self._step = max(1, facts.at_once(batch or CHUNK))
        is_one = len(facts.inputs) == len(facts.outputs) == 1
        self._is_plain = is_one and batch is None and facts.joins and not facts.varies
        self._shapes_answered = [one.shape for one in facts.outputs]

    @abstractmethod
    def run_once(self, inputs: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the file's own outputs for its inputs, both in the order of the facts."""

    def predict(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return what clients get of the only output, shape `(N, *shape)`, for raw samples of the only input.

        Raises:
            InputError: the model cannot take these samples.
        """
        return self.run({self.facts.input.name: raw})[self.facts.output.name]

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return what clients get by output, each of shape `(N, *shape)`, for raw samples by input, each of shape `(N, *shape)`.

        Raises:
            InputError: the model cannot take these samples.
        """
        if self._is_plain and (answer := self._one_of_one(inputs)) is not None:
            return answer
        samples = self.facts.samples(inputs)
        rows = len(samples[0])
        answers = self._part(samples) if 0 < rows <= self._at_once(rows) else self._in_turn(samples, rows)
        return {one.name: one.of(answer) for one, answer in zip(self.facts.outputs, answers, strict=True)}

    def _one_of_one(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]] | None:
        """Return what `run` does for one input of one shape and one output: most models have no more, and are asked quickest so.

        None: the samples are not of that shape, or more than one run's.
        """
        (one,), (output,) = self.facts.inputs, self.facts.outputs
        raw = inputs.get(one.name)
        if type(raw) is not np.ndarray or raw.shape[1:] != one.shape or not 0 < len(raw) <= self._step:
            return None
        answer = self.run_once([one.of(raw)])[0]
        if answer.shape != (len(raw), *output.shape):
            self._check([raw], [answer])
        return {output.name: output.of(answer)}

    def _in_turn(self, samples: list[NDArray[Any]], rows: int) -> list[NDArray[Any]]:
        """Return the file's own outputs for samples that are none, or more than it is run on at once."""
        found: list[NDArray[Any]] = []
        step = self._at_once(rows)
        for start in range(0, rows, step):
            answers = self._part([array[start : start + step] for array in samples])
            if not found:
                found = [np.empty((rows, *one.shape[1:]), one.dtype) for one in answers]
            for whole, one in zip(found, answers, strict=True):
                _put(whole, start, one)
        return found or [_nothing(one) for one in self.facts.outputs]

    def _at_once(self, rows: int) -> int:
        """Return how many samples to run the model on at once."""
        if self.batch is None and not self.facts.joins:
            return max(1, self.facts.at_once(rows))
        return self._step

    def _part(self, samples: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the file's own outputs for at most one run's samples."""
        rows = len(samples[0])
        inputs = [one.of(raw) for one, raw in zip(self.facts.inputs, samples, strict=True)]
        if self.batch is not None and rows < self.batch:
            inputs = [_filled(array, self.batch) for array in inputs]
            answers = [array[:rows] for array in self.run_once(inputs)]
        else:
            answers = self.run_once(inputs)
        for shape, answer in zip(self._shapes_answered, answers, strict=True):
            if answer.shape != (rows, *shape):
                self._check(samples, answers)
        return answers

    def _check(self, samples: list[NDArray[Any]], answers: list[NDArray[Any]]) -> None:
        """Refuse answers that are not what `model.json` says."""
        lengths: dict[str, int] = {}
        for one, raw in zip(self.facts.inputs, samples, strict=True):
            fits(raw.shape[1:], one.shape, lengths)
        for output, answer in zip(self.facts.outputs, answers, strict=True):
            if len(answer) != len(samples[0]) or not fits(answer.shape[1:], output.shape, lengths):
                said = f"{(len(samples[0]), *output.shape)}"
                msg = f"{self.facts.file}: output {output.name!r} has shape {answer.shape}; its model.json says {said}"
                if len(answer) != len(samples[0]):
                    msg += "; has it no axis of the batch? say so: batch = false, of the output in [tool.modelyard.signature]"
                raise RuntimeError(msg)


def to_file(array: NDArray[Any], one: Input) -> NDArray[Any]:
    """Return samples of an input with the axis of the batch where the file's tensor has it."""
    if one.batch_axis == 0:
        return array
    return array[0] if one.batch_axis is None else np.ascontiguousarray(np.moveaxis(array, 0, one.batch_axis))


def from_file(array: NDArray[Any], one: Output) -> NDArray[Any]:
    """Return an output of the file with the axis of the batch first."""
    if one.batch_axis == 0:
        return array
    return array[None] if one.batch_axis is None else np.moveaxis(array, one.batch_axis, 0)


def without_batch(sizes: Sequence[Any], one: Input | Output) -> tuple[Any, ...]:
    """Return the axes of a tensor of the file without that of the batch."""
    return tuple(size for number, size in enumerate(sizes) if number != one.batch_axis)


def cast(values: NDArray[Any], dtype: np.dtype[Any], one: Input) -> NDArray[Any]:
    """Return `values` of the input `one` as the file's own dtype.

    Raises:
        InputError: it does not hold a whole number of them; of truth values, 0 or 1.
    """
    if values.dtype == dtype:
        return values
    if dtype.kind in "iub" and not np.can_cast(values.dtype, dtype) and values.size:
        low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        for value in (values.min(), values.max()):
            if not low <= value <= high:
                msg = f"input {one.name!r} holds {value}; the model's own type there is {dtype}"
                raise InputError(msg)
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(dtype)


def _filled(array: NDArray[Any], batch: int) -> NDArray[Any]:
    """Return `array` with samples of nothing behind it, `batch` in all."""
    shape = (batch - len(array), *array.shape[1:])
    return np.concatenate([array, np.full(shape, b"" if array.dtype == BYTES else 0, array.dtype)])


def _put(whole: NDArray[Any], start: int, part: NDArray[Any]) -> None:
    if part.shape[1:] != whole.shape[1:]:
        msg = f"the model answers shape {part.shape[1:]} to some samples and {whole.shape[1:]} to others of their shape: send them one at a time"
        raise InputError(msg)
    whole[start : start + len(part)] = part


def _nothing(one: Output) -> NDArray[Any]:
    return np.empty((0, *(axis if isinstance(axis, int) else 0 for axis in one.shape)), one.dtype)
