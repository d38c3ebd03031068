"""What `model.json` says: what the model takes and answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .errors import InputError, StartError
from .model_json import each, read_constant, read_input, read_output, read_state, whole
from .tensor_facts import GROWN, fits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from .model_json import Tensor
    from .tensor_facts import Input, Output, State

CHUNK = 16
"""Samples a run at most: enough to fill the kernels, little enough that activations stay small."""


class Predictor(Protocol):
    """A model that is loaded and ready; a backend's function returns one."""

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """Return what clients get by output, each of shape `(N, *shape)`, for raw samples by input, each of shape `(N, *shape)`.

        Raises:
            InputError: the model cannot take these samples.
        """
        ...


@dataclass(frozen=True)
class Facts:
    """What `model.json` says.

    Attributes:
        file: the model's file or folder.
        format: `tflite`, `onnx` ...
        inputs: the tensors of a raw sample.
        outputs: the tensors that the model answers.
        batch: how many samples the model may be run on at once; None: any number. Where its answer to one depends on the
            others beside it, a client's answer must not depend on who else asks.
        states: what the model keeps from one step of a stream to the next.
        looped: whether the file takes one step at a time: the first axis of the inputs and outputs is then that of time.
        constants: what the file's inputs always hold that nobody sends, by the file's names.
        extra: every other key, for instance `name`, `variant`, `sha256`.
    """

    file: Path
    format: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    batch: int | None = None
    states: tuple[State, ...] = ()
    looped: bool = False
    constants: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Facts:
        """Read `model.json` in `folder`.

        Raises:
            StartError: it is missing or damaged, or the file that it names is not there.
        """
        path = folder / "model.json"
        try:
            return _facts(folder, json.loads(path.read_bytes()))
        except OSError as exc:
            msg = f"{path}: {exc.strerror}; MODELYARD_MODEL_DIR must name the folder that holds model.json"
            raise StartError(msg) from exc
        except (KeyError, TypeError, ValueError) as exc:
            reason = f"no key {exc}" if isinstance(exc, KeyError) else str(exc)
            msg = f"{path}: not a model's facts: {reason}"
            raise StartError(msg) from exc

    @property
    def input(self) -> Input:
        """The only input."""
        return _only(self.file, "inputs", self.inputs)

    @property
    def output(self) -> Output:
        """The only output."""
        return _only(self.file, "outputs", self.outputs)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of what the only output's last axis holds."""
        return self.output.labels

    @cached_property
    def keeps(self) -> bool:
        """Whether the model keeps something from one step of a stream to the next."""
        return bool(self.states) or any(one.overlap for one in self.inputs)

    @cached_property
    def varies(self) -> bool:
        """Whether samples may differ in shape."""
        return any(isinstance(axis, str) for one in self.inputs for axis in one.shape)

    @cached_property
    def grows(self) -> bool:
        """Whether what the model keeps becomes longer with each step of a stream; a later step then takes longer, too."""
        return any(isinstance(axis, str) for one in self.states for axis in one.shape)

    @cached_property
    def is_choosy(self) -> bool:
        """Whether the model may well not take samples that are otherwise in order: ids beyond its tables, lengths, texts."""
        return self.varies or any(one.dtype.kind in "iO" for one in self.inputs)

    @cached_property
    def joins(self) -> bool:
        """Whether samples of one shape have answers of one shape, so that they can be computed in parts and put together.

        An axis of an output that is none of an input's may be as long as the samples' content says.
        """
        known = {axis for one in self.inputs for axis in one.shape if axis}
        axes = (axis for one in self.outputs for axis in one.shape if isinstance(axis, str))
        return all(axis in known or axis.startswith(GROWN) for axis in axes)

    def samples(self, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Return `inputs` as arrays of samples, in the order of the facts, each of shape `(N, *shape)`.

        Raises:
            InputError: one is missing, has another shape, or another number of samples.
        """
        lengths: dict[str, int] = {}
        found = [_samples(one, inputs, lengths) for one in self.inputs]
        if len(found) > 1 and len(set(map(len, found))) > 1:
            counts = ", ".join(f"{one.name!r} {len(array)}" for one, array in zip(self.inputs, found, strict=True))
            msg = f"the inputs hold unlike numbers of samples: {counts}"
            raise InputError(msg)
        return found

    def at_once(self, most: int) -> int:
        """Return how many samples to run the model on at once: `most`, or fewer where it allows only those."""
        return min(most, self.batch or most)

    def label(self, key: str) -> str:
        """Return the extra fact `key` as text, or an empty string."""
        value = self.extra.get(key, "")
        return value if isinstance(value, str) else json.dumps(value)


def _samples(one: Input, inputs: Mapping[str, NDArray[Any]], lengths: dict[str, int]) -> NDArray[Any]:
    if one.name not in inputs:
        msg = f"input {one.name!r} is missing"
        raise InputError(msg)
    raw = np.asarray(inputs[one.name])
    if raw.shape[1:] != one.shape or not raw.shape:
        if raw.shape and fits(raw.shape[1:], one.shape, lengths):
            return raw
        wanted = ", ".join(map(str, (-1, *(axis or "any" for axis in one.shape))))
        known = "".join(f", {name} = {length}" for name, length in lengths.items())
        msg = f"input {one.name!r}: samples have shape {list(raw.shape)}, expected [{wanted}]{known}"
        raise InputError(msg)
    return raw


def _only(file: Path, what: str, tensors: tuple[Tensor, ...]) -> Tensor:
    if len(tensors) != 1:
        names = ", ".join(repr(one.name) for one in tensors)
        msg = f"{file}: {what} of model.json: {names}; expected one"
        raise StartError(msg)
    return tensors[0]


def _facts(folder: Path, data: Any) -> Facts:
    if not isinstance(data, dict):
        msg = "the top level is not an object"
        raise TypeError(msg)
    if not isinstance(data["file"], str) or {"/", "\0"} & set(data["file"]) or data["file"] in ("", ".", ".."):
        msg = f"file: {data['file']!r} is not the name of a file or folder beside it"
        raise ValueError(msg)
    known = {field.name for field in fields(Facts)}
    facts = Facts(
        file=folder / data["file"],
        format=str(data["format"]),
        inputs=tuple(each("inputs", data["inputs"], read_input)),
        outputs=tuple(each("outputs", data["outputs"], read_output)),
        batch=whole("batch", data["batch"]) if data.get("batch") is not None else None,
        states=tuple(map(read_state, data.get("states", ()))),
        looped=data.get("looped") is True,
        constants={str(one["tensor"]): read_constant(one["value"], one["dtype"]) for one in data.get("constants", ())},
        extra={key: value for key, value in data.items() if key not in known},
    )
    if not facts.file.exists():
        msg = f"it names {data['file']!r}, which is not there"
        raise ValueError(msg)
    return facts
