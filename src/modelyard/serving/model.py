"""`model.json`: what the model takes and answers, and how a raw sample becomes its input."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .errors import InputError, StartError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

DTYPES = ("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64")


class Predictor(Protocol):
    """A model that is loaded and ready; a backend's function returns one."""

    def predict(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Return class probabilities, float32, shape `(N, classes)`, for raw samples of shape `(N, *input_shape)`.

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
class Facts:
    """What `model.json` says.

    Attributes:
        file: the model's file or folder.
        format: `tflite`, `onnx` ...
        input_shape: the shape of one raw sample, without the batch axis.
        input_dtype: the dtype of a raw sample.
        preprocessing: what is applied to a raw sample.
        class_names: one name an output.
        output: whether the model answers `logits` or `probabilities`.
        value_range: the lowest and the highest value that a raw sample may hold; None: whatever the dtype holds.
        batch: how many samples the model may be run on at once; None: any number. Where its answer to one depends on the
            others beside it, a client's answer must not depend on who else asks.
        extra: every other key, for instance `name`, `variant`, `sha256`.
    """

    file: Path
    format: str
    input_shape: tuple[int, ...]
    input_dtype: np.dtype[Any]
    preprocessing: Preprocessing
    class_names: tuple[str, ...]
    output: str = "logits"
    value_range: tuple[float, float] | None = None
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

    def samples(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return `raw` as an array of samples, shape `(N, *input_shape)`.

        Raises:
            InputError: the shape is another.
        """
        raw = np.asarray(raw)
        if raw.shape[1:] != self.input_shape:
            msg = f"samples have shape {list(raw.shape)}, expected [-1, {', '.join(map(str, self.input_shape))}]"
            raise InputError(msg)
        return raw

    def inputs(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return raw samples as the model takes them, of the same shape: float32, normalized.

        Signed whole numbers, such as token ids, stay what they are.
        """
        if self.input_dtype.kind == "i":
            return raw.astype(self.input_dtype, copy=False)
        return self.preprocessing.apply(raw)

    def at_once(self, most: int) -> int:
        """Return how many samples to run the model on at once: `most`, or fewer where it allows only those."""
        return min(most, self.batch or most)

    def label(self, key: str) -> str:
        """Return the extra fact `key` as text, or an empty string."""
        value = self.extra.get(key, "")
        return value if isinstance(value, str) else json.dumps(value)

    def probabilities(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the model answered, shape `(N, classes)`, as probabilities: softmax if it answered logits."""
        return outputs if self.output == "probabilities" else softmax(outputs)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `exp(logits)` scaled so that each row, over the last axis, adds up to 1; float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True, initial=-np.inf), dtype=np.float32)
        return powers / powers.sum(axis=-1, keepdims=True)  # type: ignore[no-any-return]


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
        input_shape=tuple(_whole("input_shape", size) for size in data["input_shape"]),
        input_dtype=np.dtype(_one_of("input_dtype", data["input_dtype"], DTYPES)),
        preprocessing=_preprocessing(data["preprocessing"]),
        class_names=tuple(str(name) for name in data["class_names"]),
        output=_one_of("output", data.get("output", "logits"), ("logits", "probabilities")),
        value_range=_value_range(data.get("value_range")),
        batch=_whole("batch", data["batch"]) if data.get("batch") is not None else None,
        extra={key: value for key, value in data.items() if key not in known},
    )
    if not facts.file.exists():
        msg = f"it names {data['file']!r}, which is not there"
        raise ValueError(msg)
    return facts


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
