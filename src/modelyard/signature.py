"""What goes into a model and what comes out of it: named tensors, as the model's file says them."""

from __future__ import annotations

import msgspec

Axis = int | str
"""The length of an axis, or a name where it varies: axes of one name are of one length. Empty: it varies by itself."""


NO_TENSORS = ("sequence", "map", "optional value", "sparse tensor")
"""What a model may take or answer, of which no protocol knows how to send it."""


class TensorSpec(msgspec.Struct, frozen=True):
    """A tensor that a model takes or answers.

    Attributes:
        name: what the model's file calls it.
        dtype: the type of its elements as numpy calls it, for instance `float32`; `bytes` for texts and other strings;
            empty: the file does not say. Of what is no tensor it says what it is, see `NO_TENSORS`.
        shape: its axes, that of the batch included; None: the file does not say.
    """

    name: str
    dtype: str
    shape: tuple[Axis, ...] | None = None

    def __str__(self) -> str:
        """Return it in one phrase: `'pixels', float32 (any, 28, 28)`."""
        axes = "" if self.shape is None else f" ({', '.join(_axis(axis) for axis in self.shape)})"
        return f"{self.name!r}, {self.dtype or 'of an unknown type'}{axes}"


class Signature(msgspec.Struct, frozen=True):
    """The tensors that a model takes and those that it answers, each in the file's own order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


def _axis(axis: Axis) -> str:
    return str(axis) if axis != "" else "any"
