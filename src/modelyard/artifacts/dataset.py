"""A data set as its stage left it: `dataset.json` beside plain arrays, opened without reading them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.artifacts.names import samples_file, sent_file, slice_file
from modelyard.artifacts.samples import Tensors
from modelyard.files.json import read_json
from modelyard.tensors import InputFacts, Loss, OutputFacts, model_inputs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.files.ragged import RaggedArray
    from modelyard.signature import Axis

Split = str
"""`train`, `test`, or what the data set calls a further test set."""


class SplitFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many samples a split has.

    Attributes:
        samples: how many there are.
        per_class: how many have each label, in the order of the labels; none where that means nothing.
        per_output: the same of each of several outputs that has labels to count, by its name.
    """

    samples: int
    per_class: tuple[int, ...] = ()
    per_output: dict[str, tuple[int, ...]] = msgspec.field(default_factory=dict)


class DatasetFacts(Tensors, frozen=True, kw_only=True, omit_defaults=True):
    """`dataset.json`: what the splits hold, and what a model must answer to them.

    Attributes:
        splits: how many samples each has.
        loss: what training makes small; empty where several outputs are learnt.
        losses: what it makes small for each of several outputs, by their names.
        sent: what clients send, where handlers make the inputs of it.
        measured: what the task measures, where a handler after the model gives it.
        slices: the values of each column that says of what test samples are.
        test_sets: how many samples each further test set has.
        test_set_slices: the same as `slices`, of further test sets that have such columns.
    """

    splits: dict[str, SplitFacts]
    loss: Loss = "cross-entropy"
    losses: dict[str, Loss] = msgspec.field(default_factory=dict)
    sent: tuple[InputFacts, ...] = ()
    measured: OutputFacts | None = None
    slices: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    test_sets: dict[str, SplitFacts] = msgspec.field(default_factory=dict)
    test_set_slices: dict[str, dict[str, tuple[str, ...]]] = msgspec.field(default_factory=dict)

    def slices_of(self, split: Split) -> dict[str, tuple[str, ...]]:
        """Return the values of each column of the test split, or of a further test set."""
        return self.slices if split == "test" else self.test_set_slices.get(split, {})

    @property
    def widths(self) -> dict[str, int]:
        """How many numbers each output has along its last axis, by its name; those are left out where that varies."""
        last = {one.name: one.shape[-1] for one in self.outputs if one.shape}
        return {name: axis for name, axis in last.items() if isinstance(axis, int)}

    @property
    def dtype(self) -> str:
        """The type of raw samples on disk: uint8, float32, int32, int64, or bytes of texts."""
        return self.input.dtype


class Dataset(msgspec.Struct, frozen=True):
    """A data set as the `dataset` stage left it: `dataset.json` and `{train,test}_{x,y}.npy`."""

    folder: Path
    facts: DatasetFacts

    @classmethod
    def open(cls, folder: Path | str) -> Dataset:
        """Open the data set in `folder`.

        Raises:
            DataError: `dataset.json` is missing or not what modelyard writes.
        """
        return cls(Path(folder), read_json(Path(folder) / "dataset.json", DatasetFacts))

    def x(self, split: Split) -> NDArray[np.generic]:
        """Return the raw samples of `split`, shape `(N, *input_shape)`, memory-mapped read-only.

        Raises:
            PluginError: the samples have several inputs: see `raw`.
        """
        samples: NDArray[np.generic] = self._samples(split, self.facts.input)
        return samples

    def raw(self, split: Split) -> dict[str, NDArray[np.generic]]:
        """Return the raw samples of `split` by input, each of shape `(N, *shape)`, memory-mapped read-only.

        Samples of several lengths are a `modelyard.files.ragged.RaggedArray`, which pads those that are looked at together. Texts
        are a `modelyard.files.columns.Ragged`, whose rows are arrays of `bytes`.
        """
        return {one.name: self._samples(split, one) for one in self.facts.inputs}

    def lengths(self, split: Split) -> dict[Axis, NDArray[np.int64]]:
        """Return how long each sample of `split` is, shape `(N,)`, by the axis along which it varies."""
        return {
            one.shape[0]: self._ragged(split, one).lengths
            for one in self.facts.inputs
            if one.pad is not None and not one.mask
        }

    def asked_lengths(self, split: Split = "test") -> dict[Axis, NDArray[np.int64]]:
        """Return `lengths`, and how long each sample of a test split is as clients send it: only those alike go together."""
        sent = {one.name: self._sent(split, one).lengths for one in self.facts.sent if one.pad is not None}
        return {**{f"sent:{name}": own for name, own in sent.items()}, **self.lengths(split)}

    # What opens columns is imported when one is opened: who plans a build opens none

    def _samples(self, split: Split, one: InputFacts) -> Any:
        if one.dtype == "bytes":
            from modelyard.files.columns import open_column

            name = samples_file(split, one.name).removesuffix(".npy")
            return open_column(self.folder, name, one.dtype, one.shape)
        if one.pad is None:
            from modelyard.files.halves import widened

            return widened(self._load(samples_file(split, one.name)))
        if not one.mask:
            return self._ragged(split, one)
        (masked,) = (other for other in self.facts.inputs if other.name == one.mask)
        return self._ragged(split, masked).mask()

    def _ragged(self, split: Split, one: InputFacts) -> RaggedArray:
        from modelyard.files.ragged_files import open_ragged

        return open_ragged(self.folder, samples_file(split, one.name).removesuffix(".npy"), one.pad or 0)

    def sent(self, split: Split = "test") -> dict[str, Any]:
        """Return what clients send of a test split, by input: raw samples, or what handlers make them of.

        Each is an array of the shape `(N, *shape)`, or a `modelyard.files.columns.Ragged` of texts or other bytes; samples of
        several lengths are as those of `raw`.
        """
        if not self.facts.sent:
            return {**self.raw(split)}
        return {one.name: self._sent(split, one) for one in self.facts.sent}

    def _sent(self, split: Split, one: InputFacts) -> Any:
        from modelyard.files.columns import open_column
        from modelyard.files.ragged_files import open_ragged

        name = sent_file(split, one.name)
        if one.pad is not None:
            return open_ragged(self.folder, name, one.pad)
        return open_column(self.folder, name, one.dtype, one.shape)

    def y(self, split: Split) -> NDArray[np.generic]:
        """Return the targets of `split`, memory-mapped read-only.

        What they are goes by the loss: with `cross-entropy` the number of each sample's class, int64, shape `(N,)`, or
        of the class at each of its positions, int32, shape `(N, *positions)`, -1 where it does not count; with `binary-cross-entropy` 0 or 1 for each label, uint8, shape `(N, labels)`; with an error numbers, float32, shape
        `(N, k)`. Those of several outputs are fields of one array, shape `(N,)`: `y["kind"]`.
        """
        return self._load(f"{split}_y.npy")

    def slice_of(self, column: str, split: Split = "test") -> NDArray[np.int32]:
        """Return what each sample of a test split is of: numbers of `facts.slices_of(split)[column]`, int32, shape `(N,)`."""
        codes: NDArray[np.int32] = self._load(slice_file(column, split))  # type: ignore[assignment]
        return codes

    @property
    def has_labels(self) -> bool:
        """Whether there are labels."""
        return (self.folder / "test_y.npy").is_file()

    def inputs(self, split: Split, rows: slice | NDArray[np.generic] = slice(None)) -> NDArray[Any]:
        """Return `rows` of `split` as the model takes them, shape `(n, *input_shape)`: float32, preprocessed.

        Whole numbers (int32 and int64) and texts (`bytes` objects) stay what they are.
        """
        return self.tensors(split, rows)[self.facts.input.name]

    def tensors(self, split: Split, rows: slice | NDArray[np.generic] = slice(None)) -> dict[str, NDArray[Any]]:
        """Return `rows` of `split` as the model takes them, as `inputs` does, by the name of each input."""
        raw = self.raw(split)
        return {one.name: model_inputs(raw[one.name][rows], one.dtype, one.preprocessing) for one in self.facts.inputs}

    def _load(self, name: str) -> NDArray[np.generic]:
        from modelyard.files.npy import open_array

        array: NDArray[np.generic] = open_array(self.folder / name)
        return array
