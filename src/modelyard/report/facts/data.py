"""What a report says of the data set."""

from __future__ import annotations

import msgspec


class ClassFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One class: its name, and how many samples each split has of it."""

    name: str
    train: int
    test: int


class InputSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One input: its name, and the shape and dtype of a sample."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str


class OutputSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One of several outputs that has classes: its name, and these in the order of their labels."""

    name: str
    classes: tuple[ClassFacts, ...]


class DatasetSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The data set: what one sample is, samples in all, and the classes in the order of their labels, if any; of several outputs by output.

    `input_shape` and `dtype` are those of the first input; `inputs` has them all, and none in a report of an older version.
    """

    stage: str
    input_shape: tuple[int | str, ...]
    dtype: str
    train: int
    test: int
    classes: tuple[ClassFacts, ...]
    inputs: tuple[InputSummary, ...] = ()
    outputs: tuple[OutputSummary, ...] = ()
