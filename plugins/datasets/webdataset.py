"""The data set `webdataset`: tar files of samples, as the library WebDataset has them."""

from __future__ import annotations

import io
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.artifacts import Splits, Streams
from modelyard.contexts import Problem
from modelyard.errors import DataError
from modelyard.params import InputPath
from modelyard_plugins.support.data.columns import targets_of
from modelyard_plugins.support.data.sent_column import one_text
from modelyard_plugins.support.data.sets import files_of_sets
from modelyard_plugins.support.data.split_files import split_files
from modelyard_plugins.support.data.splitting import TestFraction, parts_of
from modelyard_plugins.support.data.table import Table
from modelyard_plugins.support.data.tar_samples import SUFFIX, TarColumn, columns_of, shards_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import CheckContext, StageContext
    from modelyard.hookspecs import Register
    from modelyard_plugins.support.data.columns import Targets
    from modelyard_plugins.support.data.table import Cell


def webdataset(
    context: StageContext,
    *,
    path: InputPath,
    sent: str = "",
    array: str = "",
    target: str = "cls",
    as_text: bool = False,
    pad: float | None = None,
    masks: bool = False,
    slices: tuple[str, ...] = (),
    group: str = "",
    test: InputPath | None = None,
    test_sets: InputPath | None = None,
    test_fraction: TestFraction = 0.2,
    stratify: bool = True,
    class_names: tuple[str, ...] = (),
    value_range: tuple[float, float] | None = None,
) -> Splits | Streams:
    """Samples in `.tar` files, as WebDataset has them: files whose names differ in their endings alone are one sample.

    A sample's file is sent as it is, to a handler such as image-decode; or it is a numpy array. Nothing is unpacked: a file is
    read where it lies when it is asked for. A target is a text in a file of its own, a whole number, or another number.

    Args:
        context: the seed decides how samples are split.
        path: a tar file, or a folder of them; or one with `train-...` and `test-...` tar files, or such folders.
        sent: the ending of the file that clients send, for handlers; several that stand for each other between `;`: "jpg;png".
        array: the ending of a `.npy` file that is the sample, instead of sent.
        target: the ending of the file that says what is to be learnt; empty: nothing is.
        as_text: leave the target as the text that it is, for the task transcription.
        pad: for arrays of several lengths: what follows a shorter one in a batch; left out, all are of one shape.
        masks: whether the model gets an input `NAME_mask` beside such arrays, 1 where a sample is.
        slices: endings of files with a text that says what a sample is of, for `[tool.modelyard.evaluate] slices`.
        group: the ending of the file that says which samples belong together, such as those of a speaker: none is on both
            sides of the split into training and testing, nor of a fold of `[tool.modelyard.cross_validation]`.
        test: tar files with the samples for testing; left out, some of `path` are set apart, unless it has a test split.
        test_sets: a folder of further tar files, or folders of them, each a test set that is called as it is without `.tar`.
        test_fraction: part of the samples that is set apart for testing.
        stratify: set apart that part of each class, where the target says classes or whole numbers; otherwise of all samples.
        class_names: the classes in the order of their numbers; left out, sorted, or as numbered.
        value_range: lowest and highest value that an array may hold: the server refuses others; left out, 0 to 255 for uint8,
            else any.
    """
    said = tuple(filter(None, (target, *slices, group)))
    splits = [_samples(shards, sent or array, said) for shards in _shards(Path(path), test)]
    sets = {name: _samples(shards_in(one), sent or array, said) for name, one in _sets(test_sets).items()}
    every = [*splits, *sets.values()]
    context.log(f"{sum(map(len, every)):,} samples")
    learnt = _learnt(Path(path), every, target, class_names, as_text=as_text)
    groups = [one.texts(group) for one in splits] if group else []
    lengths = list(map(len, splits))
    rows = parts_of(lengths, learnt.arrays[0], test_fraction, context.seed, stratify=stratify, groups=groups)
    train_y, test_y = learnt.of(rows, len(splits))
    train_x, test_x = (_Rows(one.column, some) for one, some in zip((splits[0], splits[-1]), rows, strict=True))
    further = {name: _Rows(one.column, range(len(one))) for name, one in sets.items()}
    labels = dict(zip(sets, learnt.arrays[len(splits) :], strict=True))
    told: dict[str, Any] = {
        "slices": {name: [splits[-1].texts(name)[row] for row in rows[1]] for name in slices},
        "groups": [groups[0][row] for row in rows[0]] if group else (),
        "test_set_slices": {name: {of: one.texts(of) for of in slices} for name, one in sets.items() if slices},
    }
    if sent:
        tested: Any = {name: (x, labels[name]) for name, x in further.items()}
        return Splits(train_x, train_y, test_x, test_y, learnt.names, None, test_sets=tested, **told)  # type: ignore[arg-type]
    return Streams(
        _pairs(train_x, train_y),
        _pairs(test_x, test_y),
        learnt.names,
        value_range or "auto",
        pad=pad,
        masks=masks,
        ragged=pad is not None,
        test_sets={name: _pairs(x, labels[name]) for name, x in further.items()},
        **told,
    )


class _Samples:
    """The samples of a split.

    Attributes:
        column: the files that are samples.
    """

    def __init__(self, column: TarColumn, said: dict[str, TarColumn]) -> None:
        self.column, self._said = column, said

    def __len__(self) -> int:
        return len(self.column)

    def cells(self, ending: str) -> list[Cell]:
        """Return the text in each sample's file of that ending, with the number of the sample.

        Raises:
            DataError: one is no text.
        """
        return list(_texts(self._said[ending]))

    def texts(self, ending: str) -> list[str]:
        """Return the text in each sample's file of that ending."""
        return [text for _, text in self.cells(ending)]


def _samples(shards: Sequence[Path], ending: str, said: Sequence[str]) -> _Samples:
    column, *told = columns_of(shards, [_endings(one) for one in (ending, *said)])
    return _Samples(column, dict(zip(said, told, strict=True)))


def _sets(folder: str | None) -> dict[str, Path]:
    return files_of_sets(Path(folder), {SUFFIX}, folders=True) if folder is not None else {}


def _endings(said: str) -> list[str]:
    return [one.strip().lstrip(".").lower() for one in said.split(";")]


def _shards(path: Path, test: str | None) -> list[list[Path]]:
    both = split_files(path, (SUFFIX,)) if test is None else None
    return list(both) if both else [shards_in(Path(one)) for one in (path, test) if one is not None]


def _learnt(
    path: Path, splits: Sequence[_Samples], name: str, class_names: tuple[str, ...], *, as_text: bool
) -> Targets:
    cells = [{name: one.cells(name)} if name else {} for one in splits]
    tables = [Table(path, None, each, "sample") for each in cells]
    return targets_of(tables, (name,) if name else (), class_names, as_text=as_text)


def _texts(column: TarColumn) -> Iterator[tuple[int, str]]:
    for row in range(len(column)):
        try:
            yield row, column[row].decode().strip()
        except UnicodeDecodeError as exc:
            msg = f"{column.place(row)}: is no text in UTF-8, as a target is\n  name another ending in target"
            raise DataError(msg) from exc


class _Rows:
    """Some of the samples."""

    def __init__(self, column: TarColumn, rows: Sequence[int] | NDArray[np.int64]) -> None:
        self.column, self.rows = column, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> bytes:
        return self.column[int(self.rows[number])]

    def place_of(self, number: int) -> str:
        """Return what messages call a sample."""
        return self.column.place(int(self.rows[number]))


def _pairs(samples: _Rows, labels: NDArray[Any] | None) -> Iterator[tuple[NDArray[Any], Any]]:
    found = repeat(None) if labels is None else labels
    return zip((_array(samples, number) for number in range(len(samples))), found, strict=False)


def _array(samples: _Rows, number: int) -> NDArray[Any]:
    """Return the array in a `.npy` file.

    Raises:
        DataError: it is none, is damaged, or holds pickled objects.
    """
    import numpy as np

    try:
        found: NDArray[Any] = np.lib.format.read_array(io.BytesIO(samples[number]), allow_pickle=False)
    except Exception as exc:  # numpy parses the header as Python's own text, and lets out what the parser raises
        place = samples.place_of(number)
        why = " ".join(str(exc).split())[:200] or type(exc).__name__
        msg = (
            f"{place}: cannot be read as an array: {why}\n  write it with numpy.save; pickled objects are never loaded"
        )
        raise DataError(msg) from exc
    return found


def check(
    context: CheckContext,  # noqa: ARG001 - nothing else of the project decides this
    *,
    sent: str,
    array: str,
    target: str,
    as_text: bool,
    pad: float | None,
    masks: bool,
    value_range: tuple[float, float] | None,
    **_: Any,
) -> Iterator[Problem]:
    """Yield what says in two ways what a sample is, or in none."""
    if bool(sent) == bool(array):
        why = "array says what a sample is, too" if sent else "neither it nor array says what a sample is"
        yield Problem("sent", why, 'name the ending of a sample\'s file: sent = "jpg;png", or array = "npy"')
    for key, is_given in (("pad", pad is not None), ("masks", masks), ("value_range", value_range is not None)):
        if sent and is_given:
            yield Problem(key, "it is for arrays, but clients send files", "remove it, or tell the handler")
    if masks and pad is None and not sent:
        yield Problem("masks", "pad is not set, so that all samples are of one length", "set pad, or remove masks")
    yield from one_text((target,) if target else (), as_text=as_text)


@hookimpl
def modelyard_register_datasets(register: Register) -> None:
    """Register the data set."""
    register("webdataset", webdataset, tools=("numpy",), deterministic=True, check=check)
