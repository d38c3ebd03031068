"""One column of a data set: what a model takes as one input, in both splits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.signature import Axis


@dataclass(frozen=True)
class Column:
    """One input of the model: its samples in both splits.

    Attributes:
        name: the input's name.
        train: raw samples, shape `(N, ...)`.
        test: raw samples, shape `(M, ...)`.
        value_range: the lowest and highest value; None: not given, and there is none by its type.
        is_named: whether the data set gives names to its arrays.
        is_scaled: whether it is mapped to 0..1 where nothing else is said.
        axis: the name of its first axis, where each sample is of its own length: columns whose samples are of the same
            lengths have the same; empty: all samples are of one shape.
        mask: the column whose samples it tells from what pads them; empty: it is no mask.
    """

    name: str
    train: NDArray[np.generic]
    test: NDArray[np.generic]
    value_range: tuple[float, float] | None
    is_named: bool
    is_scaled: bool
    axis: str = ""
    mask: str = ""

    @property
    def arrays(self) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """The two arrays, each with what messages call it."""
        for split, array in (("train", self.train), ("test", self.test)):
            yield self.place(split), array

    def place(self, split: str) -> str:
        """Return what messages call the array of `split`."""
        return f"{split}_x[{self.name!r}]" if self.is_named else f"{split}_x"

    @property
    def shape(self) -> tuple[Axis, ...]:
        """The axes of a sample."""
        return (self.axis, *self.train.shape[2:]) if self.axis else self.train.shape[1:]

    @property
    def range_place(self) -> str:
        """What messages call the value range."""
        return f"value_range[{self.name!r}]" if self.is_named else "value_range"
