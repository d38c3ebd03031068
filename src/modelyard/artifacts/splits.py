"""What a data set plugin returns: the samples and labels of each split, as arrays or one after another."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast

import msgspec

from modelyard.errors import DataError, listing

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

if TYPE_CHECKING:
    Array = NDArray[np.generic]
    Column = Array | Sequence[str | bytes | Path]
    """An array of samples; texts, bytes and files may be in a list."""
    Samples = Column | Mapping[str, Column]
    """The samples of a model's only input, or a dict of those of each."""
    Labels = Array | Sequence[Any] | Mapping[str, Array] | None
    """An array or a list of labels, or None; where several outputs are learnt a dict of such arrays, of which each task gets its own."""
    Names = Sequence[str] | Mapping[str, Sequence[str]]
    """A sequence of names; where several outputs are learnt a dict of such sequences, of which each task gets its own."""


class Splits(msgspec.Struct, frozen=True):
    """What a data set plugin returns; `modelyard` checks it and writes it down.

    Attributes:
        train_x: raw samples, shape `(N, *input_shape)`, a numpy memory map is welcome: uint8 (pictures), float32
            (measurements), or int32 or int64 (whole numbers, such as token ids, which reach the model as they are). A list or
            an array of texts, bytes, or paths of files whose content is meant, shape `(N,)` or `(N, ...)`, is for handlers, or
            for a model that takes texts. For a model of several inputs a dict of such arrays by the inputs' names.
        train_y: labels, shape `(N,)` or `(N, ...)`, as the task wants them: for a classification integers from 0, shape
            `(N,)`; None: there are none. Where several outputs are learnt, a dict of such arrays by the outputs' names.
        test_x: like `train_x`, for `M` samples.
        test_y: like `train_y`, for `M` samples.
        class_names: one name a label, in the order of the labels; for other tasks of each number of a label, if they
            have names. Where several outputs are learnt, a dict with those of each output that has some.
        value_range: the lowest and highest value that a raw sample may hold, for instance `(0, 255)`; for several inputs a
            dict of those that have one; the server refuses other values. None: 0 to 255 for uint8, else whatever the
            type holds. `auto` is the same, and one array of measurements without names is then scaled by what the
            training split holds, unless `normalize` says something else.
        test_sets: further samples and labels to test with, each like `test_x` and `test_y`, by what the set is called:
            `{"night": (x, y)}`; `[tool.modelyard.evaluate] test_sets` has a set measured by itself.
        slices: what each test sample is of, by what it is called: `{"camera": ["front", "rear", ...]}`, `M` texts or whole
            numbers each; `[tool.modelyard.evaluate] slices` has each value measured by itself.
        groups: what each training sample is of, such as its patient or speaker: `N` texts or whole numbers; a fold of a
            cross-validation holds out all samples of a group or none.
        test_set_slices: what each sample of a further test set is of, as `slices` says it of the test split:
            `{"night": {"camera": [...]}}`; `[tool.modelyard.evaluate] slices` calls that column `night.camera`.
    """

    train_x: Samples
    train_y: Labels
    test_x: Samples
    test_y: Labels
    class_names: Names = ()
    value_range: tuple[float, float] | Mapping[str, tuple[float, float]] | Literal["auto"] | None = "auto"
    slices: Mapping[str, Sequence[str | int] | NDArray[np.generic]] = {}
    test_sets: Mapping[str, tuple[Samples, Labels]] = {}
    groups: Sequence[str | int] | NDArray[np.generic] = ()
    test_set_slices: Mapping[str, Mapping[str, Sequence[str | int] | NDArray[np.generic]]] = {}

    def labels(self, split: Literal["train", "test"]) -> Array | None:
        """Return the labels of `split`, where one output is learnt; None: there are none.

        Raises:
            DataError: there are those of several outputs.
        """
        given = self.train_y if split == "train" else self.test_y
        if isinstance(given, Mapping):
            _refuse(f"{split}_y", given)
        return cast("Array | None", given)  # a list became an array before a task was asked

    @property
    def names(self) -> Sequence[str]:
        """The names of labels, where one output is learnt.

        Raises:
            DataError: there are those of several outputs.
        """
        if isinstance(self.class_names, Mapping):
            _refuse("class_names", self.class_names)
        return self.class_names


def _refuse(what: str, given: Collection[str]) -> NoReturn:
    msg = (
        f"{what}: is of several outputs ({listing(given)}), but one is learnt\n"
        "  give those of that one, or write [tool.modelyard.task.outputs.NAME] for each"
    )
    raise DataError(msg)


class Streams(msgspec.Struct, frozen=True):
    """What a data set plugin may return instead of `Splits`: samples one after another, of which one is in memory at a time.

    `train` and `test` are each an iterator or a list of pairs `(x, y)`, a `tf.data.Dataset` of such (without batches), or
    a PyTorch `Dataset`. `x` is an array of numbers, a text, bytes or the `Path` of a file (for handlers, or a model that
    takes texts), an array of such, or a dict of these by the inputs' names; `y` is a label, or None; where several outputs are learnt, a dict of labels by their names. Samples of
    one input are alike but for their first axis: token ids, sounds and boxes may be of several lengths.

    Attributes:
        train: what gives the training samples.
        test: what gives the test samples.
        class_names: as those of `Splits`; so are `value_range`, `slices`, `groups` and `test_set_slices`.
        pad: what follows a sample that is shorter than the longest of both splits. None: there are none. Labels are
            padded with -1, which does not count.
        ragged: whether samples of several lengths stay so, instead of all becoming as long as the longest: those of one batch
            are then padded to the longest of them where a model learns, and not at all where it is asked; the model's first
            axis, behind that of the batch, varies.
        masks: whether the model gets an input `NAME_mask` beside each input of several lengths, int32, shape `(longest,)`: 1 where
            the sample is, 0 behind it. An input without a name is called `input`.
        test_sets: what gives the samples of further test sets, by what they are called.
    """

    train: Any
    test: Any
    class_names: Names = ()
    value_range: tuple[float, float] | Mapping[str, tuple[float, float]] | Literal["auto"] | None = "auto"
    slices: Mapping[str, Sequence[str | int] | NDArray[np.generic]] = {}
    pad: float | None = None
    masks: bool = False
    ragged: bool = False
    test_sets: Mapping[str, Any] = {}
    groups: Sequence[str | int] | NDArray[np.generic] = ()
    test_set_slices: Mapping[str, Mapping[str, Sequence[str | int] | NDArray[np.generic]]] = {}
