"""The model under its name in the URLs, and what the protocols say of its tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .errors import RequestError
from .model import CHUNK
from .sequences import NOTHING_KEPT
from .shares import MIB
from .tensors import TensorError, TensorSpec, check_count, shape_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .model import Facts

_TEXT_BYTES = 64
"""What CPython takes for `bytes`, a place in an array, and what is made of both for the model, beside the letters."""


@dataclass(frozen=True)
class Served:
    """A model as the protocols show it.

    Attributes:
        name: its name in the URLs.
        version: its version in the URLs, a whole number as text.
        facts: what `model.json` says.
        max_batch: samples that a request may hold.
        max_length: how long an axis that varies may be.
        max_bytes: what the tensors of a request may take, its answer's too, where an axis varies.
        no_sequences: why a request cannot go on where another ended; empty: it can.
        names: all models of the server; empty: it has but this one.
        versions: all versions of this one; empty: there is but this.
    """

    name: str
    version: str
    facts: Facts
    max_batch: int = 1024
    max_length: int = 1 << 20
    max_bytes: int = 1 << 30
    no_sequences: str = NOTHING_KEPT
    names: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()

    @cached_property
    def inputs(self) -> dict[str, TensorSpec]:
        """The inputs by name, in the order of the facts: raw samples, as in the data set."""
        specs = (TensorSpec(one.name, one.dtype, one.shape, one.value_range, one.may_miss) for one in self.facts.inputs)
        return {spec.name: spec for spec in specs}

    @cached_property
    def takes_bytes(self) -> str | None:
        """The name of the input, if a sample is one text, picture or sound; else None."""
        specs = [*self.inputs.values()]
        return specs[0].name if len(specs) == 1 and specs[0].is_text and not specs[0].shape else None

    @cached_property
    def outputs(self) -> dict[str, TensorSpec]:
        """The outputs by name, in the order of the facts."""
        return {one.name: TensorSpec(one.name, one.dtype, one.shape) for one in self.facts.outputs}

    @cached_property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """The names of what the last axis of an output holds, by output."""
        return {one.name: one.labels for one in self.facts.outputs if one.labels}

    @cached_property
    def identity(self) -> dict[str, str]:
        """What tells this model from another of the same name."""
        return {
            "format": self.facts.format,
            "variant": self.facts.label("variant"),
            "sha256": self.facts.label("sha256"),
        }

    def check(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return `arrays`, one an input, in the order of the facts, if they are a batch of samples with values in range.

        Raises:
            TensorError: they are not.
            RequestError: they would take too much memory.
        """
        sizes, found = Sizes(self), {}
        for name, spec in self.inputs.items():
            array = found[name] = arrays[name]
            sizes.note(spec, array.shape)
            spec.check_values(array)
        sizes.check_bytes()
        return found


class Sizes:
    """How many samples a request holds, and how long its named axes are: one name has one length.

    They are noted tensor by tensor, before the values are looked at where a protocol says the shapes beforehand.
    """

    __slots__ = ("_first", "_lengths", "_model", "samples")

    def __init__(self, model: Served) -> None:
        self._model = model
        self._lengths: dict[str, tuple[int, str]] = {}
        self.samples, self._first = -1, ""

    def note(self, spec: TensorSpec, shape: tuple[int, ...]) -> None:
        """Note the shape of an input, the batch axis included.

        Raises:
            TensorError: the input has another shape, or it does not fit those that were noted.
        """
        if not shape or (shape[1:] != spec.shape and not self._fits(spec, shape)):
            msg = f"input {spec.name!r} has shape {shape_text(shape)}, expected {shape_text(spec.expected)}"
            raise TensorError(msg)
        samples = shape[0]
        if self.samples < 0:
            self.samples, self._first = samples, spec.name
        if samples != self.samples:
            msg = f"input {spec.name!r} holds {samples} samples, but input {self._first!r} holds {self.samples}"
            raise TensorError(msg)
        if not samples:
            msg = f"input {spec.name!r} holds no samples"
            raise TensorError(msg)
        check_count(samples, self._model.max_batch)

    def check_bytes(self) -> None:
        """Refuse tensors that would take too much memory with their answer; where nothing varies, the batch is the bound.

        Raises:
            RequestError: 413.
        """
        if not self._model.facts.varies:
            return
        lengths = {name: length for name, (length, _) in self._lengths.items()}
        specs = (*self._model.inputs.values(), *self._model.outputs.values())
        needs, most = self.samples * sum(sample_bytes(spec, lengths) for spec in specs), self._model.max_bytes
        if needs > most:
            message = f"the request's tensors and their answer would take {-(-needs // MIB)} MiB of memory"
            raise RequestError(
                413, f"{message}; at most {most // MIB} MiB are given to one: send fewer or shorter samples"
            )

    def _fits(self, spec: TensorSpec, shape: tuple[int, ...]) -> bool:
        if len(shape) != len(spec.shape) + 1:
            return False
        for size, axis in zip(shape[1:], spec.shape, strict=True):
            if isinstance(axis, int):
                if size != axis:
                    return False
            else:
                self._note_length(spec, axis, size, shape)
        return True

    def _note_length(self, spec: TensorSpec, axis: str, size: int, shape: tuple[int, ...]) -> None:
        what = f"input {spec.name!r} has shape {shape_text(shape)}"
        if not 1 <= size <= self._model.max_length:
            msg = f"{what}: {axis or 'an axis'} is {size}; allowed: 1 to {self._model.max_length}"
            raise TensorError(msg)
        known, where = self._lengths.setdefault(axis, (size, spec.name)) if axis else (size, "")
        if known != size:
            its = "there" if where == spec.name else f"in input {where!r}"
            msg = f"{what}: {axis} is {size}, but {known} {its}"
            raise TensorError(msg)


def bounded(model: Served, length: int, most: int) -> Served:
    """Return `model` for requests whose tensors may take `most` bytes, and whose axes may be `length` long; 0: as follows.

    The samples of one run, 16, then fit into that memory.
    """
    return replace(model, max_length=length or _longest(model, most // CHUNK), max_bytes=most)


def _longest(model: Served, most: int) -> int:
    """Return how long each axis that varies may be, so that a sample and its answer take `most` bytes at most."""
    specs, low, high = (*model.inputs.values(), *model.outputs.values()), 1, 1 << 31
    while model.facts.varies and low < high:
        middle = (low + high + 1) // 2
        fits = sum(sample_bytes(spec, {}, middle) for spec in specs) <= most
        low, high = (middle, high) if fits else (low, middle - 1)
    return low


def sample_bytes(spec: TensorSpec, lengths: Mapping[str, int], otherwise: int = 1) -> int:
    """Return what a sample of `spec` takes in memory, in bytes, a text without its letters, for the lengths of named axes."""
    axes = (axis if isinstance(axis, int) else lengths.get(axis, otherwise) for axis in spec.shape)
    return math.prod(axes) * (_TEXT_BYTES if spec.is_text else spec.dtype.itemsize)
