"""The data set `arrays`: numpy arrays of the project's own, in one `.npz` file or a folder of `.npy` files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard.artifacts import Splits
from modelyard.errors import DataError, did_you_mean, listing
from modelyard.files.npy import open_array
from modelyard.params import InputPath
from modelyard_plugins.support.data.npz import SAVE_PLAIN, read_npz
from modelyard_plugins.support.data.rows import take_rows
from modelyard_plugins.support.data.splitting import TestFraction, stratified_split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import StageContext
    from modelyard.hookspecs import Register

    Arrays = dict[str, NDArray[np.generic]]

FOUR = ("train_x", "train_y", "test_x", "test_y")
TWO = ("x", "y")
_MOST_CLASSES = 1_000_000


def arrays(
    context: StageContext,
    *,
    path: InputPath,
    value_range: tuple[float, float] | None = None,
    class_names: tuple[str, ...] = (),
    test_fraction: TestFraction = 0.2,
) -> Splits:
    """Numpy arrays: one `.npz` file, or a folder of `.npy` files.

    The arrays are train_x, train_y, test_x and test_y, or x and y, which are split by class from the seed.
    An array class_names (text) may stand beside them. Pickled objects are refused.

    Args:
        context: the seed decides how x and y are split.
        path: the file or folder.
        value_range: lowest and highest value that a sample may hold; left out, 0 to 255 for uint8, else what
            the arrays hold.
        class_names: one name a label; left out, the array class_names, else the labels themselves.
        test_fraction: part of x and y that is set apart for testing.
    """
    found = read_arrays(Path(path))
    if all(name in found for name in FOUR):
        train_x, train_y, test_x, test_y = (found[name] for name in FOUR)
    elif all(name in found for name in TWO):
        _check_pair(found, Path(path))
        keep, apart = stratified_split(found["y"], test_fraction, context.seed)
        train_x, test_x = (take_rows(found["x"], rows, context.cache) for rows in (keep, apart))
        train_y, test_y = found["y"][keep], found["y"][apart]
    else:
        raise _missing(found, Path(path))
    names = class_names or _class_names(found, train_y, Path(path))
    return Splits(train_x, train_y, test_x, test_y, names, value_range or _value_range(train_x, test_x))


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


def _check_pair(found: Arrays, path: Path) -> None:
    x, y = found["x"], found["y"]
    if y.ndim != 1 or y.dtype.kind not in "iu" or x.ndim < 2 or len(x) != len(y):
        msg = (
            f"{path}: x has the shape {x.shape} and y {y.dtype} of the shape {y.shape}\n"
            "  x needs (N, ...) and y whole numbers of the shape (N,)"
        )
        raise DataError(msg)


def _missing(found: Arrays, path: Path) -> DataError:
    gone = [name for name in FOUR if name not in found]
    near = next((hint for name in gone if (hint := did_you_mean(name, found))), "")
    msg = (
        f"{path}: there is no array {', '.join(map(repr, gone))}{near}\n"
        f"  it holds: {listing(found)}; needed: {', '.join(FOUR)}, or x and y"
    )
    return DataError(msg)


def _class_names(found: Arrays, labels: NDArray[np.generic], path: Path) -> tuple[str, ...]:
    """Return the names that the file holds, else one a label: as many as there are, however large a label is."""
    import numpy as np

    if "class_names" in found:
        return tuple(str(name) for name in found["class_names"].ravel())
    classes = len(np.unique(labels)) if labels.dtype.kind in "iu" else 0
    if classes > _MOST_CLASSES:
        msg = (
            f"{path}: {classes:,} different labels: these are values, not classes\n"
            f"  at most {_MOST_CLASSES:,} classes are named after their labels: give class_names, or fewer classes"
        )
        raise DataError(msg)
    return tuple(str(label) for label in range(classes))


def _value_range(*samples: NDArray[np.generic]) -> tuple[float, float]:
    import numpy as np

    if all(x.dtype == np.uint8 for x in samples) or any(x.size == 0 or x.dtype.kind not in "biuf" for x in samples):
        return (0.0, 255.0)
    return (float(min(x.min() for x in samples)), float(max(x.max() for x in samples)))


@hookimpl
def modelyard_register_datasets(register: Register) -> None:
    """Register the data set."""
    register("arrays", arrays, tools=("numpy",), deterministic=True)
