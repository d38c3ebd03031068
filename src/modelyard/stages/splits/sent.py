"""What a data set of texts or pictures holds: what clients send, and what the project's handlers make of it for training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.artifacts import Splits
from modelyard.asking import batches
from modelyard.errors import DataError, PluginError
from modelyard.files.ragged import is_ragged
from modelyard.serving.errors import HandlerError
from modelyard.serving.groups import merged
from modelyard.serving.handlers import Refused
from modelyard.stages.splits.sent_columns import column_of
from modelyard.stages.splits.spool import BytesSpool, NumbersSpool
from modelyard.stages.splits.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from modelyard.contexts import Progress
    from modelyard.serving.groups import Group
    from modelyard.serving.handler_tensor import Tensor
    from modelyard.serving.handlers import Chain
    from modelyard.signature import Axis

_BLOCK = 64
"""Samples that are looked at together."""


class Sent:
    """One split as clients would send it.

    Attributes:
        columns: texts, or an array of samples, by input.
        place: what messages call the split's samples: `train_x`.
    """

    def __init__(self, samples: Any, place: str, chain: Chain) -> None:
        wanted, self._chain, self.place = chain.inputs(), chain, place
        if not isinstance(samples, Mapping):
            if len(wanted) > 1:
                msg = f"{place}: holds one column, but the handlers take {_listed(wanted)}\n  give a dict with a column for each"
                raise DataError(msg)
            samples = {next(iter(wanted)): samples}
        for name in wanted:
            if name not in samples:
                msg = f"{place}: there is no {name!r}, which the handlers take\n  it has: {_listed(samples)}"
                raise DataError(msg)
        self.columns = {
            name: column_of(value, f"{place}[{name!r}]", wanted.get(name)) for name, value in samples.items()
        }
        self._check_lengths()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def prepared(self, folder: Path, progress: Progress) -> dict[str, Any]:
        """Return the inputs of the model by name: arrays, or what is computed block by block when it is looked at.

        Samples of several lengths are computed here, and lie in files in `folder` that have no names: how long each is has
        to be known before any is written. So are texts, and those of several inputs: else all would be computed anew for each.
        """
        rest = {name: one for name, one in self.columns.items() if name not in self._chain.inputs()}
        try:
            made = self._chain.model_inputs()
        except HandlerError as exc:
            raise PluginError(str(exc)) from exc
        for tensor in made.values():
            _check_shape(tensor)
        if len(made) > 1 or any(tensor.varies or tensor.dtype == "bytes" for tensor in made.values()):
            return self._spooled(made, folder, progress) | rest
        return {name: _Prepared(self, one) for name, one in made.items()} | rest

    def _spooled(self, made: Mapping[str, Tensor], folder: Path, progress: Progress) -> dict[str, Any]:
        """Return the inputs of the model, each sample of its own length where its handler says so."""
        spools = {name: _spool(one, folder) for name, one in made.items()}
        split = self.place.removesuffix("_x")
        for first in range(0, len(self), _BLOCK):
            end = min(first + _BLOCK, len(self))
            for row, values in self._each(slice(first, end)):
                for name, spool in spools.items():
                    spool.add(values[name], f"{self.place}: sample {row}: {name!r}")
            progress(end, len(self), unit="samples", note=f"{split}: handlers")
        return {
            name: one.padded(None, made[name].pad)
            if isinstance(one, NumbersSpool) and made[name].varies
            else one.array()
            for name, one in spools.items()
        }

    def _each(self, rows: slice) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
        """Yield the inputs of the model for each of some rows, in their order."""
        groups = self.groups(rows)
        found = {row: (group, at) for group in groups for at, row in enumerate(group.rows.tolist())}
        for row, (group, at) in sorted(found.items(), key=lambda one: one[0]):
            yield rows.start + row, {name: array[at] for name, array in group.tensors.items()}

    def groups(self, rows: slice) -> list[Group]:
        """Return the inputs of the model for some rows, those of one shape together.

        Raises:
            DataError: a sample is not what the handlers take.
            PluginError: a handler does not give what it says.
        """
        numbers = range(len(self))[rows]
        return merged([one for alike in self._alike(numbers) for one in self._asked(alike, numbers.start)])

    def _alike(self, numbers: range) -> list[slice | NDArray[Any]]:
        """Return rows in parts whose samples are of one length, as clients send them together."""
        import numpy as np

        columns = {name: self.columns[name] for name in self._chain.inputs()}
        rows = slice(numbers.start, numbers.stop)
        lengths: dict[Axis, NDArray[Any]] = {name: one.lengths[rows] for name, one in columns.items() if is_ragged(one)}
        if not lengths:
            return [rows]
        return [np.asarray(numbers)[alike] for alike in batches(len(numbers), len(numbers), lengths)]

    def _asked(self, rows: slice | NDArray[Any], first: int) -> list[Group]:
        """Return what the handlers make of some rows of one shape, as numbers that begin with that of `first`."""
        import numpy as np

        numbers = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
        try:
            return [one.of(numbers - first) for one in self._chain.prepare(self._taken(rows))]
        except Refused as exc:
            row = "" if exc.row is None else f"{self._named(int(numbers[exc.row]))}: "
            msg = f"{self.place}: {row}{exc.why}\n  mend the data, or leave the sample out"
            raise DataError(msg) from exc
        except HandlerError as exc:
            msg = f"{exc}\n  let it give what it says, or say what it gives"
            raise PluginError(msg) from exc

    def _named(self, number: int) -> str:
        """Return what messages call a sample: its number, and by what it is found, such as the name of its file."""
        taken = (self.columns[name] for name in self._chain.inputs())
        known = [one.named(number) for one in taken if isinstance(one, Texts)]
        return ", ".join([f"sample {number}", *filter(None, known)])

    def _taken(self, rows: slice | NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Return what the handlers take of some rows."""
        found = {}
        for name, tensor in self._chain.inputs().items():
            column = self.columns[name]
            found[name] = column[rows].astype(tensor.dtype) if is_ragged(column) else column[rows]
        return found

    def _check_lengths(self) -> None:
        for name, column in self.columns.items():
            if not len(column) or len(column) != len(self):
                msg = f"{self.place}[{name!r}]: holds {len(column):,} samples\n  each column holds as many as the others, one or more"
                raise DataError(msg)


class _Prepared:
    """One input of the model, computed when its rows are looked at; to a reader an array."""

    def __init__(self, sent: Sent, tensor: Tensor) -> None:
        import numpy as np

        self._sent, self._name = sent, tensor.name
        self.shape: tuple[Any, ...] = (len(sent), *tensor.shape)
        self.dtype = np.dtype(tensor.dtype)
        self.ndim, self.size = len(self.shape), math.prod(self.shape)

    def __len__(self) -> int:
        return len(self._sent)

    def __getitem__(self, rows: slice | int) -> NDArray[Any]:
        if isinstance(rows, slice):
            import numpy as np

            numbers = range(len(self))[rows]
            blocks = [slice(at, min(at + _BLOCK, numbers.stop)) for at in range(numbers.start, numbers.stop, _BLOCK)]
            return np.concatenate([self._block(block) for block in blocks])
        return self[rows : rows + 1][0]  # type: ignore[no-any-return]

    def _block(self, rows: slice) -> NDArray[Any]:
        (group,) = self._sent.groups(rows)  # all that the handlers give are of one shape
        return group.tensors[self._name]


def _spool(tensor: Tensor, folder: Path) -> BytesSpool | NumbersSpool:
    return BytesSpool(folder) if tensor.dtype == "bytes" else NumbersSpool(folder)


def _check_shape(tensor: Tensor) -> None:
    """Check that a data set can hold what the handlers give.

    Raises:
        DataError: an axis behind the first varies, or that of texts.
    """
    are_texts = tensor.dtype == "bytes"
    fixed = tensor.shape if are_texts else tensor.shape[1:]
    if all(isinstance(axis, int) for axis in fixed) and tensor.shape != ("...",):
        return
    said = f"{tensor.dtype}, shape ({', '.join(map(str, tensor.shape))})"
    holds = "as many texts of each sample" if are_texts else "numbers, of which the first axis alone may vary"
    msg = f"the handlers give {tensor.name!r} as {said}\n  a data set holds {holds}: let the handler give them, for instance by its length or size"
    raise DataError(msg)


class Preparing:
    """What handlers make of splits. The training split, which is the same beside each test set, is looked at once."""

    def __init__(self, chain: Chain, folder: Path, progress: Progress) -> None:
        """Prepare to ask handlers.

        Args:
            chain: the handlers.
            folder: where samples may lie meanwhile, in files without names.
            progress: told how many of those are done.
        """
        self._chain, self._folder, self._progress = chain, folder, progress
        self._train: dict[str, Any] | None = None

    def __call__(self, splits: Splits) -> tuple[Splits, Sent]:
        """Return splits as the model takes them, and the test split as clients send it.

        Raises:
            DataError: the data set does not hold what the handlers take.
        """
        train, test = (Sent(getattr(splits, f"{split}_x"), f"{split}_x", self._chain) for split in ("train", "test"))
        ranges = splits.value_range if isinstance(splits.value_range, Mapping) else None
        if self._train is None:
            self._train = train.prepared(self._folder, self._progress)
        test_x = test.prepared(self._folder, self._progress)
        return msgspec.structs.replace(splits, train_x=self._train, test_x=test_x, value_range=ranges), test


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "nothing"
