"""Models that keep a state: a stream goes through them step by step, each step with what the one before left.

The file takes the state as inputs and answers it as outputs. Here it is handed on: within one request, whose samples are
whole streams or chunks of them, and to whoever keeps it from one request to the next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .errors import InputError
from .model import Facts
from .tensor_facts import GROWN, Input, Output

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from .tensor_facts import State

    Tensors = Mapping[str, NDArray[Any]]

_STATE, _OVERLAP = "state:", "overlap:"
"""What the names of kept tensors begin with: no client's tensor has a colon."""


class Model(Protocol):
    """A model that takes its states as inputs, and answers them as outputs."""

    batch: int | None

    def run(self, inputs: Tensors) -> Tensors:
        """Return every output by name, each of shape `(N, *shape)`."""
        ...


@dataclass(frozen=True)
class Kept:
    """A tensor that is kept from one step of a stream to the next.

    Attributes:
        name: what it is called among the tensors of a model.
        dtype: the type of its elements.
        shape: its axes without that of the batch; a name, or nothing, where it grows.
        initial: what every element is before the first step.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[Any, ...]
    initial: float = 0.0

    def first(self, streams: int = 1) -> NDArray[Any]:
        """Return it before the first step, shape `(streams, *shape)`; what grows is 0 long."""
        shape = (axis if isinstance(axis, int) else 0 for axis in self.shape)
        return np.full((streams, *shape), self.initial, self.dtype)

    @property
    def size_bytes(self) -> int:
        """What it takes in memory for one stream before the first step, in bytes."""
        return self.first().nbytes


def kept_of(facts: Facts) -> tuple[Kept, ...]:
    """Return what a model keeps: its states, and the end of each input that overlaps."""
    states = (Kept(_STATE + one.tensor, one.dtype, one.shape, one.initial) for one in facts.states)
    overlaps = (
        Kept(_OVERLAP + one.name, one.dtype, (*_step(one, facts)[:-1], one.overlap))
        for one in facts.inputs
        if one.overlap
    )
    return (*states, *overlaps)


def in_file(facts: Facts) -> Facts:
    """Return facts as the file has them at one step: its states stand among its inputs and outputs."""
    if not facts.keeps:
        return facts
    inputs = [replace(one, shape=_with_overlap(_step(one, facts), one.overlap), overlap=0) for one in facts.inputs]
    outputs = [replace(one, shape=_step(one, facts)) for one in facts.outputs]
    for one in facts.states:
        name = _STATE + one.tensor
        before, after = (_lengths(one, grown) for grown in ("", f"{GROWN}{one.tensor}:"))
        inputs.append(Input(name, one.dtype, before, tensor=one.tensor, batch_axis=one.batch_axis))
        outputs.append(Output(name, one.dtype, after, tensor=one.source, batch_axis=one.batch_axis))
    return replace(facts, inputs=tuple(inputs), outputs=tuple(outputs), states=(), looped=False)


class Streamed:
    """A model whose samples are streams, or chunks of them. Safe to share among threads as the model is."""

    def __init__(self, model: Model, facts: Facts) -> None:
        self._model, self.facts, self.batch = model, facts, model.batch
        self._kept = kept_of(facts)
        self._overlaps = [(one.name, one.overlap) for one in facts.inputs if one.overlap]
        self._states = [one.name for one in self._kept if one.name.startswith(_STATE)]

    def predict(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return the only output, shape `(N, *shape)`, for streams of the only input, shape `(N, *shape)`."""
        return self.run({self.facts.input.name: raw})[self.facts.output.name]

    def run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """Return every output by name, each of shape `(N, *shape)`, for `N` streams by input.

        What was kept of an earlier step may stand among `inputs`: then the streams go on from there, and what is kept of them
        stands among the outputs. Otherwise they begin, and end.

        Raises:
            InputError: the model cannot take these samples.
        """
        samples = dict(zip((one.name for one in self.facts.inputs), self.facts.samples(inputs), strict=True))
        rows = len(next(iter(samples.values())))
        goes_on = any(one.name in inputs for one in self._kept)
        kept = {one.name: inputs[one.name] if one.name in inputs else one.first(rows) for one in self._kept}
        answers = [self._step(step, kept) for step in self._steps(samples)]
        found = self._whole(answers)
        return found | kept if goes_on else found

    def _steps(self, samples: Tensors) -> Iterator[dict[str, NDArray[Any]]]:
        if not self.facts.looped:
            yield dict(samples)
            return
        lengths = {name: array.shape[1] for name, array in samples.items()}
        if len(set(lengths.values())) > 1 or not min(lengths.values()):
            msg = f"the inputs have unlike numbers of steps, or none: {', '.join(f'{one!r} {n}' for one, n in lengths.items())}"
            raise InputError(msg)
        for number in range(min(lengths.values())):
            yield {name: array[:, number] for name, array in samples.items()}

    def _step(self, inputs: dict[str, NDArray[Any]], kept: dict[str, NDArray[Any]]) -> Tensors:
        """Return the answers to one step; `kept` is then what it leaves."""
        ends = {}
        for name, overlap in self._overlaps:
            inputs[name] = np.concatenate([kept[_OVERLAP + name], inputs[name]], axis=-1)
            ends[_OVERLAP + name] = inputs[name][..., -overlap:].copy()
        found = self._model.run(inputs | {name: kept[name] for name in self._states})
        kept |= ends | {name: found[name] for name in self._states}
        return found

    def _whole(self, answers: list[Tensors]) -> dict[str, NDArray[Any]]:
        names = [one.name for one in self.facts.outputs]
        if not self.facts.looped:
            return {name: answers[0][name] for name in names}
        return {name: np.stack([one[name] for one in answers], axis=1) for name in names}


def _step(one: Input | Output, facts: Facts) -> tuple[Any, ...]:
    return one.shape[1:] if facts.looped else one.shape


def _lengths(one: State, grown: str) -> tuple[Any, ...]:
    """Return the axes of a state, those that grow called `grown` with their number; empty: by no name, so that any length fits."""
    return tuple(
        axis if isinstance(axis, int) else grown and f"{grown}{number}" for number, axis in enumerate(one.shape)
    )


def _with_overlap(shape: tuple[Any, ...], overlap: int) -> tuple[Any, ...]:
    return (*shape[:-1], shape[-1] + overlap) if overlap else shape
