"""The data set `arrays`: numpy arrays of the project's own, in one `.npz` file or a folder of `.npy` files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard import hookimpl
from modelyard.artifacts import Splits
from modelyard.errors import DataError, did_you_mean, listing
from modelyard.files.npy import open_array
from modelyard.params import InputPath
from modelyard_plugins.support.data.npz import SAVE_PLAIN, read_npz
from modelyard_plugins.support.data.rows import range_of, take_rows
from modelyard_plugins.support.data.splitting import TestFraction, split_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import StageContext
    from modelyard.hookspecs import Register

    Arrays = dict[str, NDArray[np.generic]]

FOUR = ("train_x", "train_y", "test_x", "test_y")
TWO = ("x", "y")


def arrays(
    context: StageContext,
    *,
    path: InputPath,
    value_range: tuple[float, float] | None = None,
    class_names: tuple[str, ...] = (),
    test_fraction: TestFraction = 0.2,
    stratify: bool = True,
) -> Splits:
    """Numpy arrays: one `.npz` file, or a folder of `.npy` files.

    The arrays are train_x, train_y, test_x and test_y, or x and y, which are split from the seed. Without anything to be
    learnt train_x and test_x, or x, stand alone. An array class_names (text) may be there, too. Pickled objects are refused.

    Args:
        context: the seed decides how x and y are split.
        path: the file or folder.
        value_range: lowest and highest value that a sample may hold: the server refuses others; left out, 0 to 255 for
            uint8, of other whole numbers those that the arrays hold, else any.
        class_names: one name a label; left out, the array class_names, else the task names them.
        test_fraction: part of x and y that is set apart for testing.
        stratify: set apart that part of each class, where y is one whole number a sample; otherwise of all samples.
    """
    found = read_arrays(Path(path))
    train_x, train_y, test_x, test_y = _splits(found, context, Path(path), test_fraction, stratify=stratify)
    named = found["class_names"].ravel() if "class_names" in found else ()
    names = class_names or tuple(map(str, named))
    return Splits(train_x, train_y, test_x, test_y, names, range_of(value_range, train_x, test_x))


def _splits(found: Arrays, context: StageContext, path: Path, fraction: float, *, stratify: bool) -> tuple[Any, ...]:
    """Return the four arrays of `Splits`, None for labels that are not there."""
    names = found.keys() - {"class_names"}
    if names >= set(FOUR) or names == {"train_x", "test_x"}:
        return tuple(found.get(name) for name in FOUR)
    if not names >= set(TWO) and names != {"x"}:
        raise _missing(found, path)
    x, y = found["x"], found.get("y")
    _check_pair(x, y, path)
    keep, apart = split_rows(y, len(x), fraction, context.seed, stratify=stratify)
    samples = (take_rows(x, rows, context.cache) for rows in (keep, apart))
    labels = (None, None) if y is None else (y[keep], y[apart])
    return tuple(one for pair in zip(samples, labels, strict=True) for one in pair)


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


@hookimpl
def modelyard_register_datasets(register: Register) -> None:
    """Register the data set."""
    register("arrays", arrays, tools=("numpy",), deterministic=True)
