"""The data set `arrays`: numpy arrays of the project's own, in one `.npz` file or a folder of `.npy` files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.artifacts import Splits
from modelyard.errors import DataError, did_you_mean, listing
from modelyard.files.npy import open_array
from modelyard.params import InputPath
from modelyard_plugins.support.data.columns import Target, Targets, names_by_output
from modelyard_plugins.support.data.npz import SAVE_PLAIN, read_npz
from modelyard_plugins.support.data.rows import range_of, take_rows
from modelyard_plugins.support.data.splitting import TestFraction, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import CheckContext, Problem, StageContext
    from modelyard.hookspecs import Register

    Arrays = dict[str, NDArray[np.generic]]

FOUR = ("train_x", "train_y", "test_x", "test_y")
TWO = ("x", "y")


def arrays(
    context: StageContext,
    *,
    path: InputPath,
    value_range: tuple[float, float] | None = None,
    class_names: Target = (),
    group: str = "",
    test_sets: tuple[str, ...] = (),
    test_fraction: TestFraction = 0.2,
    stratify: bool = True,
) -> Splits:
    """Numpy arrays: one `.npz` file, or a folder of `.npy` files.

    The arrays are train_x, train_y, test_x and test_y, or x and y, which are split from the seed. Without anything to be
    learnt train_x and test_x, or x, stand alone. An array class_names (text) may be there, too. Pickled objects are refused.
    Where several outputs are learnt there is an array for each: train_y.kind, test_y.kind, class_names.kind.

    Args:
        context: the seed decides how x and y are split.
        path: the file or folder.
        value_range: lowest and highest value that a sample may hold: the server refuses others; left out, 0 to 255 for
            uint8, of other whole numbers those that the arrays hold, else any.
        class_names: one name a label; left out, the array class_names, else the task names them. Of several outputs, a table
            of these.
        group: the name of an array that says which samples of x, or of train_x, belong together, such as those of a patient, a
            text or a whole number each: none is on both sides of the split into training and testing, nor of a fold of
            `[tool.modelyard.cross_validation]`.
        test_sets: the names of further test sets, each of which has its arrays: of night, night_x and night_y.
        test_fraction: part of x and y that is set apart for testing.
        stratify: set apart that part of each class, where y is one whole number a sample; otherwise of all samples.
    """
    found = read_arrays(Path(path))
    further = {f"{name}_{part}" for name in test_sets for part in "xy"} | {group}
    groups = _groups(found, group, Path(path))
    (train_x, test_x), (train_y, test_y), of = _splits(
        found, further, context, Path(path), test_fraction, stratify=stratify, groups=groups
    )
    named = _of(found, "class_names")
    if isinstance(named, dict):
        names: Any = class_names or {name: tuple(map(str, one.ravel())) for name, one in named.items()}
    else:
        names = class_names or (() if named is None else tuple(map(str, named.ravel())))
    sets = {name: _set(found, name, Path(path)) for name in test_sets}
    return Splits(
        train_x, train_y, test_x, test_y, names, range_of(value_range, train_x, test_x), test_sets=sets, groups=of
    )


def _of(found: Arrays, name: str) -> Any:
    """Return the array `name`; or those of several outputs, `NAME.OUTPUT`, by the outputs' names; None: there is neither."""
    if name in found:
        return found[name]
    return {key.partition(".")[2]: one for key, one in found.items() if key.startswith(f"{name}.")} or None


def _set(found: Arrays, name: str, path: Path) -> tuple[Any, Any]:
    x = found.get(f"{name}_x")
    if x is None:
        msg = f"{path}: test_sets: there is no array {f'{name}_x'!r}{did_you_mean(f'{name}_x', found)}\n  it holds: {listing(found)}"
        raise DataError(msg)
    return x, _of(found, f"{name}_y")


def _groups(found: Arrays, name: str, path: Path) -> list[str]:
    """Return the group of each sample, as a text; none where there are no groups."""
    if not name:
        return []
    if name not in found or found[name].ndim != 1 or found[name].dtype.kind not in "iuU":
        what = f"is {found[name].dtype} of the shape {found[name].shape}" if name in found else "is not there"
        hint = did_you_mean(name, found) if name not in found else ""
        msg = f"{path}: group: the array {name!r} {what}{hint}\n  give a text or a whole number for each sample; it holds: {listing(found)}"
        raise DataError(msg)
    return [str(one) for one in found[name]]


def _splits(
    found: Arrays,
    further: set[str],
    context: StageContext,
    path: Path,
    fraction: float,
    *,
    stratify: bool,
    groups: Sequence[str],
) -> tuple[tuple[Any, Any], tuple[Any, Any], Sequence[str]]:
    """Return the samples and the labels of both splits, None for labels that are not there, and the groups of the first."""
    names = {name.partition(".")[0] for name in found} - {"class_names"} - further
    if names >= set(FOUR) or names == {"train_x", "test_x"}:
        train_x, train_y, test_x, test_y = (_of(found, name) for name in FOUR)
        return (train_x, test_x), (train_y, test_y), groups
    if not names >= set(TWO) and names != {"x"}:
        raise _missing(found, path)
    x, learnt = found["x"], Targets([_of(found, "y")], ())
    for y in learnt.each:
        _check_pair(x, y, path)
    if groups and len(groups) != len(x):
        msg = f"{path}: group: there are {len(groups):,} values for {len(x):,} samples\n  give one for each"
        raise DataError(msg)
    each = [groups] if groups else []
    rows = parts_of([len(x)], learnt.classes, fraction, context.seed, stratify=stratify, groups=each)
    train_x, test_x = (take_rows(x, some, context.cache) for some in rows)
    return (train_x, test_x), learnt.of(rows, 1), [groups[row] for row in rows[0]] if groups else ()


def read_arrays(path: Path) -> Arrays:
    """Return the arrays in `path` by name; those of a folder are memory-mapped.

    Raises:
        DataError: there is no such file, it is damaged, or it holds pickled objects.
    """
    if path.is_dir():
        return {file.stem: open_array(file, SAVE_PLAIN) for file in sorted(path.glob("*.npy"))}
    if path.suffix != ".npz":
        msg = (
            f"{path}: is neither a folder nor an .npz file\n"
            "  write one with numpy.savez(path, train_x=..., train_y=..., test_x=..., test_y=...)"
        )
        raise DataError(msg)
    return read_npz(path)


def _check_pair(x: NDArray[np.generic], y: NDArray[np.generic] | None, path: Path) -> None:
    if x.ndim < 2:
        msg = f"{path}: x has the shape {x.shape}\n  it needs (N, ...): an axis of samples, then those of a sample"
        raise DataError(msg)
    if y is not None and (not y.ndim or len(x) != len(y)):
        msg = f"{path}: x has the shape {x.shape} and y {y.dtype} of the shape {y.shape}\n  both need an axis of N samples"
        raise DataError(msg)


def _missing(found: Arrays, path: Path) -> DataError:
    gone = [name for name in FOUR if name not in found]
    near = next((hint for name in gone if (hint := did_you_mean(name, found))), "")
    msg = (
        f"{path}: there is no array {', '.join(map(repr, gone))}{near}\n"
        f"  it holds: {listing(found)}; needed: {', '.join(FOUR)}, or x and y"
    )
    return DataError(msg)


def check(context: CheckContext, *, class_names: Target, **_: Any) -> Iterator[Problem]:
    """Yield that names are given for one output where several count, or the other way round."""
    yield from names_by_output(class_names, context.outputs)


@hookimpl
def modelyard_register_datasets(register: Register) -> None:
    """Register the data set."""
    register("arrays", arrays, tools=("numpy",), deterministic=True, check=check)
