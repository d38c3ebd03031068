"""What a client gives a model and what it gets: named tensors, and what lies between them and the model's own.

A model's file has tensors of its own (see `modelyard.signature`). These are the ones that people deal with: raw samples go
in, and what comes out needs nothing done to it any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from modelyard.signature import Axis

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Activation = Literal["none", "softmax", "sigmoid"]
"""`softmax` over the last axis, `sigmoid` of each element, or nothing."""

ANY_SHAPE: tuple[Axis, ...] = ("...",)
"""The shape of a tensor of which nothing is known before there is a model."""

HELD = ("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "bytes")
"""The types of tensors that clients have as they are in a model's file; every other is float32 to them."""


def held(dtype: str) -> str:
    """Return what a file's type is called here: TensorFlow says `string` of texts, which are `bytes`."""
    return "bytes" if dtype == "string" else dtype


Loss = Literal["cross-entropy", "binary-cross-entropy", "squared-error", "absolute-error", ""]
"""What training makes small, as the mean over all samples, and over all numbers of an answer.

`cross-entropy` goes with softmax and one class a sample, `binary-cross-entropy` with sigmoid and a yes or no for each
label, the two errors with numbers. Empty: no loss that the built-in trainers know.
"""


class Preprocessing(msgspec.Struct, frozen=True):
    """How a raw sample becomes the model's input: `(raw * scale - mean) / std`, in float32.

    `mean` and `std` hold one number, or one a channel (the last axis).
    """

    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def apply(self, raw: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return `raw` (any dtype, shape `(N, ...)` or one sample) as float32 of the same shape, normalized."""
        import numpy as np

        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        inputs: NDArray[np.float32] = (np.asarray(raw, np.float32) * np.float32(self.scale) - mean) / std
        return inputs


class InputFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One tensor of a raw sample.

    Attributes:
        name: what clients call it.
        dtype: the type of its elements as numpy calls it.
        shape: its axes without that of the batch; a name where the length varies, and axes of one name are of one length.
        preprocessing: what must be applied to it; the server applies the same.
        value_range: the lowest and highest value that it may hold; the server refuses others.
        tensor: what the model's file calls it; empty: the same, or it is the only one.
        overlap: how many elements the file wants before them along the last axis: those at the end of the step before.
        pad: what follows a sample that is shorter than others beside it, where each of a data set is of its own length along
            the first axis; None: all are of one shape.
        mask: the input whose samples it tells from what follows them: it holds 1 where there is one; empty: it is no mask.
        binary: whether some of a data set's `bytes` are no texts in UTF-8.
    """

    name: str
    dtype: str
    shape: tuple[Axis, ...]
    preprocessing: Preprocessing = Preprocessing()
    value_range: tuple[float, float] | None = None
    tensor: str = ""
    overlap: int = 0
    pad: float | None = None
    mask: str = ""
    binary: bool = False


class OutputFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One tensor that the model answers.

    Attributes:
        name: what clients call it.
        dtype: the type of its elements as numpy calls it.
        shape: its axes without that of the batch; a name where the length varies.
        activation: what makes the answer of what the network gives: of logits, probabilities.
        inside: whether the model's file applies it itself; otherwise whoever runs the file does, the server too.
        labels: the name of each element along the last axis, for instance the classes, or of each class whose number an
            answer holds; none: there are no names.
        tensor: what the model's file calls it; empty: the same, or it is the only one.
        batch_axis: which axis of the file's tensor is that of the batch; None: it has none, and is of one sample.
        parts: the tensors that it stands for, where several are measured together: arrays of it then have a field for each.
    """

    name: str
    dtype: str = "float32"
    shape: tuple[Axis, ...]
    activation: Activation = "none"
    inside: bool = False
    labels: tuple[str, ...] = ()
    tensor: str = ""
    batch_axis: int | None = 0
    parts: tuple[OutputFacts, ...] = ()

    def sample_axes(self, file: tuple[Axis, ...]) -> tuple[Axis, ...]:
        """Return the axes of a sample's answer, of those that the file's tensor has."""
        return file if self.batch_axis is None else file[1:]

    @property
    def outside(self) -> Activation:
        """The activation that whoever runs the model's file must apply to what it answers."""
        return "none" if self.inside else self.activation


class StateFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An input that nobody sends: it is what an output was at the step before.

    Attributes:
        tensor: what the model's file calls the input.
        source: what it calls the output.
        dtype: the type of their elements as numpy calls it.
        shape: their axes without that of the batch; a name, or nothing, where the output may be longer than the input: such
            an axis is 0 long before the first step.
        batch_axis: which axis of the file's tensors is that of the batch; None: there is none, and one stream is run at a time.
        initial: what every element is before the first step.
    """

    tensor: str
    source: str
    dtype: str
    shape: tuple[Axis, ...]
    batch_axis: int | None = 0
    initial: float = 0.0


class ConstantFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An input that nobody sends, for it is always the same.

    Attributes:
        tensor: what the model's file calls it.
        dtype: the type of its elements as numpy calls it.
        value: what it holds: a number, a truth value, a text, or lists of them.
    """

    tensor: str
    dtype: str
    value: Any


TIME: Axis = "time"
"""The first axis of what a model takes that is run step by step: so many steps a stream has."""


def is_whole(dtype: str) -> bool:
    """Tell whether samples of `dtype` are whole numbers that mean themselves, such as token ids: int32 or int64.

    uint8 is the type of pictures.
    """
    return dtype in ("int32", "int64")


def is_kept(dtype: str) -> bool:
    """Tell whether samples of `dtype` reach the model as they are: whole numbers that mean themselves, texts and other bytes."""
    return is_whole(dtype) or dtype == "bytes"


def input_dtype(dtype: str) -> str:
    """Return the type in which samples of `dtype` reach the model: see `model_inputs`."""
    return dtype if is_kept(dtype) else "float32"


def model_inputs(raw: NDArray[np.generic], dtype: str, preprocessing: Preprocessing) -> NDArray[Any]:
    """Return raw samples of `dtype` as the model takes them: float32, preprocessed; whole numbers and texts as they are."""
    import numpy as np

    return np.array(raw) if is_kept(dtype) else preprocessing.apply(raw)
