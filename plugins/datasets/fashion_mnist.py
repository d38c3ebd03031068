"""The data set `fashion-mnist`: 70,000 pictures of clothes, 28 x 28 grey, from the four IDX files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard.artifacts import Splits
from modelyard.errors import DataError
from modelyard.params import InputPath
from modelyard_plugins.support.data.idx import read_idx

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import StageContext
    from modelyard.hookspecs import Register

CLASS_NAMES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def fashion_mnist(_context: StageContext, *, folder: InputPath = "/usr/share/datasets/fashion-mnist") -> Splits:
    """Fashion-MNIST: 60,000 + 10,000 pictures of clothes, 28 x 28, from IDX files.

    Args:
        _context: not needed; the splits are the official ones.
        folder: folder with the four IDX files, gzipped or not; `apt-get install dataset-fashion-mnist` puts them
            into /usr/share/datasets/fashion-mnist.
    """
    return read_folder(Path(folder))


def read_folder(folder: Path) -> Splits:
    """Return the splits in `folder`: `train-images-idx3-ubyte.gz` and the other three.

    Raises:
        DataError: a file is missing or damaged, or images and labels differ in number.
    """
    train_x, train_y = _pair(folder, "train")
    test_x, test_y = _pair(folder, "t10k")
    return Splits(train_x, train_y, test_x, test_y, CLASS_NAMES, value_range=(0, 255))


def _pair(folder: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    import numpy as np

    images = read_idx(_find(folder, f"{split}-images-idx3-ubyte"), 3)
    labels = read_idx(_find(folder, f"{split}-labels-idx1-ubyte"), 1)
    if len(images) != len(labels):
        msg = f"{folder}: {split}: {len(images):,} images but {len(labels):,} labels\n  the files are of different sets"
        raise DataError(msg)
    return images[..., np.newaxis], labels.astype(np.int64)


def _find(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    msg = (
        f"{folder}: there is no {name}.gz, nor {name}\n"
        '  run `apt-get install dataset-fashion-mnist`, or name the folder with the four IDX files: folder = "..."'
    )
    raise DataError(msg)


@hookimpl
def modelyard_register_datasets(register: Register) -> None:
    """Register the data set."""
    register("fashion-mnist", fashion_mnist, deterministic=True)
