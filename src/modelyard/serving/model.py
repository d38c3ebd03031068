"""`model.json`: what the model takes and answers, and how a raw sample becomes its input."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from .errors import InputError, StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

WHOLE = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
DTYPES = ("bool", *WHOLE, "float16", "float32", "float64", "bytes")
BYTES = np.dtype(object)
"""The dtype of arrays whose elements are `bytes`: texts in UTF-8, or anything else."""

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
class Preprocessing:
    """How a raw sample becomes the model's input: `(raw * scale - mean) / std`, in float32.

    `mean` and `std` hold one number, or one a channel (the last axis).
    """

    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    @cached_property
    def _numbers(self) -> tuple[NDArray[np.float32], ...]:
        return tuple(np.asarray(one, np.float32) for one in (self.scale, self.mean, self.std))

    def apply(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Return `raw` (any dtype, shape `(N, ...)` or one sample) as float32 of the same shape, normalized."""
        scale, mean, std = self._numbers
        with np.errstate(over="ignore", invalid="ignore"):
            normal: NDArray[np.float32] = (np.asarray(raw, dtype=np.float32) * scale - mean) / std
            return normal


@dataclass(frozen=True)
class Input:
    """One tensor of a raw sample.

    Attributes:
        name: what clients call it.
        dtype: the type of its elements.
        shape: its axes without that of the batch; a name where the length varies.
        preprocessing: what is applied to it.
        value_range: the lowest and the highest value that it may hold; None: whatever the dtype holds.
        tensor: what the model's file calls it; empty: the same, or it is the only one.
        overlap: how many elements the file wants before them along the last axis: those at the end of the step before.
        batch_axis: which axis of the file's tensor is that of the batch; None: it has none, and takes one sample.
        may_miss: whether a number of it may be missing, which is NaN; a handler takes it then.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[Any, ...]
    preprocessing: Preprocessing = Preprocessing()
    value_range: tuple[float, float] | None = None
    tensor: str = ""
    overlap: int = 0
    batch_axis: int | None = 0
    may_miss: bool = False

    @cached_property
    def is_plain(self) -> bool:
        """Whether a raw sample is what the model takes: signed whole numbers such as token ids, truth values and texts are."""
        return self.dtype.kind in "ibO" or self.preprocessing == Preprocessing()

    def of(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return raw samples as the model takes them, of the same shape: as they are, or normalized, float32."""
        return raw if self.is_plain else self.preprocessing.apply(raw)


@dataclass(frozen=True)
class Output:
    """One tensor that the model answers.

    Attributes:
        name: what clients call it.
        dtype: the type of its elements.
        shape: its axes without that of the batch; a name where the length varies.
        activation: what is applied to what the file answers: `softmax` over the last axis, `sigmoid`, or `none`.
        labels: the name of each element along the last axis, if they have names.
        tensor: what the model's file calls it; empty: the same, or it is the only one.
        batch_axis: which axis of the file's tensor is that of the batch; None: it has none, and is of one sample.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[Any, ...]
    activation: str = "none"
    labels: tuple[str, ...] = ()
    tensor: str = ""
    batch_axis: int | None = 0

    @cached_property
    def of(self) -> Callable[[NDArray[Any]], NDArray[Any]]:
        """What returns what clients get of what the file answered, of the same shape."""
        return _ACTIVATIONS[self.activation]


@dataclass(frozen=True)
class State:
    """An input that nobody sends: it is what an output was at the step before.

    Attributes:
        tensor: what the model's file calls the input.
        source: what it calls the output.
        dtype: the type of their elements.
        shape: their axes without that of the batch.
        batch_axis: which axis of the file's tensors is that of the batch; None: there is none.
        initial: what every element is before the first step.
    """

    tensor: str
    source: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    batch_axis: int | None = 0
    initial: float = 0.0


Tensor = TypeVar("Tensor", Input, Output)


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
    def is_choosy(self) -> bool:
        """Whether the model may well not take samples that are otherwise in order: ids beyond its tables, lengths, texts."""
        return self.varies or any(one.dtype.kind in "iO" for one in self.inputs)

    @cached_property
    def joins(self) -> bool:
        """Whether samples of one shape have answers of one shape, so that they can be computed in parts and put together.

        An axis of an output that is none of an input's may be as long as the samples' content says.
        """
        known = {axis for one in self.inputs for axis in one.shape if axis}
        return all(isinstance(axis, int) or axis in known for one in self.outputs for axis in one.shape)

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


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `exp(logits)` scaled so that each row, over the last axis, adds up to 1; float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True, initial=-np.inf), dtype=np.float32)
        return powers / powers.sum(axis=-1, keepdims=True)  # type: ignore[no-any-return]


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `1 / (1 + exp(-logits))`, element by element; float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.float32(1) / (np.float32(1) + np.exp(-logits, dtype=np.float32))


_ACTIVATIONS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "none": lambda answer: answer,
    "softmax": softmax,
    "sigmoid": sigmoid,
}


def fits(shape: tuple[int, ...], axes: tuple[Any, ...], lengths: dict[str, int]) -> bool:
    """Return whether `shape` is as `axes` say, and note in `lengths` how long each named axis is: one name has one length."""
    if shape == axes:
        return True
    if len(shape) != len(axes):
        return False
    for size, axis in zip(shape, axes, strict=True):
        if isinstance(axis, int):
            if size != axis:
                return False
        elif axis and lengths.setdefault(axis, size) != size:
            return False
    return True


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
        inputs=tuple(_each("inputs", data["inputs"], _input)),
        outputs=tuple(_each("outputs", data["outputs"], _output)),
        batch=_whole("batch", data["batch"]) if data.get("batch") is not None else None,
        states=tuple(map(_state, data.get("states", ()))),
        looped=data.get("looped") is True,
        constants={str(one["tensor"]): _constant(one["value"], one["dtype"]) for one in data.get("constants", ())},
        extra={key: value for key, value in data.items() if key not in known},
    )
    if not facts.file.exists():
        msg = f"it names {data['file']!r}, which is not there"
        raise ValueError(msg)
    return facts


def _each(key: str, data: Any, read: Callable[[Mapping[str, Any]], Tensor]) -> Iterator[Tensor]:
    """Yield what `read` makes of each of the list `data`, whose names differ."""
    if not isinstance(data, list) or not data or not all(isinstance(one, dict) for one in data):
        msg = f"{key}: {data!r:.80} is not a list of objects"
        raise ValueError(msg)
    names: list[str] = [str(one["name"]) for one in data]
    if len(set(names)) < len(names):
        msg = f"{key}: a name is there twice: {', '.join(map(repr, names))}"
        raise ValueError(msg)
    yield from map(read, data)


def _input(data: Mapping[str, Any]) -> Input:
    return Input(
        name=str(data["name"]),
        dtype=_dtype(data["dtype"]),
        shape=_shape(data["shape"]),
        preprocessing=_preprocessing(data.get("preprocessing", {})),
        value_range=_value_range(data.get("value_range")),
        tensor=str(data.get("tensor", "")),
        overlap=int(data.get("overlap", 0)),
    )


def _state(data: Mapping[str, Any]) -> State:
    axis = data.get("batch_axis", 0)
    return State(
        tensor=str(data["tensor"]),
        source=str(data["source"]),
        dtype=_dtype(data["dtype"]),
        shape=_shape(data["shape"]),
        batch_axis=None if axis is None else int(axis),
        initial=float(data.get("initial", 0.0)),
    )


def _constant(value: Any, dtype: Any) -> NDArray[Any]:
    """Return a constant as an array; ONNX Runtime takes texts as they are."""
    array = np.asarray(value, _dtype(dtype))
    if array.dtype.kind in "iu" and (np.asarray(value) != array).any():
        msg = f"constants: {value!r} is no {dtype}"
        raise ValueError(msg)
    return array


def _output(data: Mapping[str, Any]) -> Output:
    activation = _one_of("activation", data.get("activation", "none"), tuple(_ACTIVATIONS))
    return Output(
        name=str(data["name"]),
        dtype=_dtype(data.get("dtype", "float32")),
        shape=_shape(data["shape"]),
        activation="none" if data.get("inside") is True else activation,
        labels=tuple(str(name) for name in data.get("labels", ())),
        tensor=str(data.get("tensor", "")),
    )


def _dtype(value: Any) -> np.dtype[Any]:
    name = _one_of("dtype", value, DTYPES)
    return BYTES if name == "bytes" else np.dtype(name)


def _shape(value: Any) -> tuple[Any, ...]:
    return tuple(axis if isinstance(axis, str) else _whole("shape", axis) for axis in value)


def _preprocessing(data: Mapping[str, Any]) -> Preprocessing:
    return Preprocessing(
        scale=float(data.get("scale", 1.0)),
        mean=tuple(float(value) for value in data.get("mean", (0.0,))),
        std=tuple(float(value) for value in data.get("std", (1.0,))),
    )


def _value_range(data: Any) -> tuple[float, float] | None:
    if data is None:
        return None
    low, high = data
    return float(low), float(high)


def _whole(key: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        msg = f"{key}: {value!r} is not a whole number from 1"
        raise ValueError(msg)
    return value


def _one_of(key: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        msg = f"{key}: {value!r}; allowed: {', '.join(allowed)}"
        raise ValueError(msg)
    return str(value)
