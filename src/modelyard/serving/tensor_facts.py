"""What `model.json` says of a model's tensors: what clients send and get, and what is made of it for the model's file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

WHOLE = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
DTYPES = ("bool", *WHOLE, "float16", "float32", "float64", "bytes")
BYTES = np.dtype(object)
"""The dtype of arrays whose elements are `bytes`: texts in UTF-8, or anything else."""
GROWN = "grown:"
"""What the name of an axis begins with that a step has made longer: alike for all samples of one shape."""


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
        return ACTIVATIONS[self.activation]


@dataclass(frozen=True)
class State:
    """An input that nobody sends: it is what an output was at the step before.

    Attributes:
        tensor: what the model's file calls the input.
        source: what it calls the output.
        dtype: the type of their elements.
        shape: their axes without that of the batch; a name, or nothing, where the output may be longer than the input: such
            an axis is 0 long before the first step.
        batch_axis: which axis of the file's tensors is that of the batch; None: there is none.
        initial: what every element is before the first step.
    """

    tensor: str
    source: str
    dtype: np.dtype[Any]
    shape: tuple[Any, ...]
    batch_axis: int | None = 0
    initial: float = 0.0


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `exp(logits)` scaled so that each row, over the last axis, adds up to 1; float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True, initial=-np.inf), dtype=np.float32)
        return powers / powers.sum(axis=-1, keepdims=True)  # type: ignore[no-any-return]


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `1 / (1 + exp(-logits))`, element by element; float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.float32(1) / (np.float32(1) + np.exp(-logits, dtype=np.float32))


ACTIVATIONS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
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
