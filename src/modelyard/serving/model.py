"""`model.json`: what the model takes and answers, and how a raw sample becomes its input."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from .errors import InputError, StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

DTYPES = ("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64")


class Predictor(Protocol):
    """A model that is loaded and ready; a backend's function returns one."""

    def predict(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Return what clients get, float32, shape `(N, *output.shape)`, for raw samples of shape `(N, *input.shape)`.

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

    def apply(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Return `raw` (any dtype, shape `(N, ...)` or one sample) as float32 of the same shape, normalized."""
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = np.asarray(raw, dtype=np.float32) * np.float32(self.scale)
            normal = (scaled - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
            return normal.astype(np.float32, copy=False)


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
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[Any, ...]
    preprocessing: Preprocessing = Preprocessing()
    value_range: tuple[float, float] | None = None
    tensor: str = ""

    def of(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return raw samples as the model takes them, of the same shape: float32, normalized.

        Signed whole numbers, such as token ids, stay what they are.
        """
        if self.dtype.kind == "i":
            return raw.astype(self.dtype, copy=False)
        return self.preprocessing.apply(raw)


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
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[Any, ...]
    activation: str = "none"
    labels: tuple[str, ...] = ()
    tensor: str = ""

    def of(self, answer: NDArray[Any]) -> NDArray[Any]:
        """Return what clients get of what the file answered, of the same shape."""
        return _ACTIVATIONS[self.activation](answer)


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
        extra: every other key, for instance `name`, `variant`, `sha256`.
    """

    file: Path
    format: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    batch: int | None = None
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

    def samples(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return `raw` as an array of samples, shape `(N, *input.shape)`.

        Raises:
            InputError: the shape is another.
        """
        raw, shape = np.asarray(raw), self.input.shape
        if raw.shape[1:] != shape:
            msg = f"samples have shape {list(raw.shape)}, expected [-1, {', '.join(map(str, shape))}]"
            raise InputError(msg)
        return raw

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
    )


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
    return np.dtype(_one_of("dtype", value, DTYPES))


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
