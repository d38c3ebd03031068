"""The data set `image-folder`: PNG and JPEG pictures in one folder per class."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from modelyard import hookimpl
from modelyard.artifacts import Splits
from modelyard.contexts import Problem
from modelyard.errors import DataError
from modelyard.params import InputPath, PositiveInt
from modelyard_plugins.support.data.image_tree import Picture, find_pictures, is_split
from modelyard_plugins.support.data.rows import on_disk
from modelyard_plugins.support.data.splitting import TestFraction, stratified_split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import CheckContext, StageContext
    from modelyard.hookspecs import Register

Sides = Annotated[tuple[PositiveInt, ...], Meta(min_length=2, max_length=2, description="[height, width]")]
"""Two whole numbers from 1."""
_SIZE = 32


def image_folder(
    context: StageContext,
    *,
    folder: InputPath,
    size: PositiveInt | Sides = _SIZE,
    grayscale: bool = False,
    decode: bool = True,
    test_sets: tuple[str, ...] = (),
    test_fraction: TestFraction = 0.2,
) -> Splits:
    """Pictures in one folder per class: PNG and JPEG, resized.

    The folder holds `<class>/*.png` (split by class, from the seed), or `train/<class>/` and `test/<class>/`. Pictures whose
    labels are in a table, or that have several, are for the data sets csv and parquet.

    Args:
        context: the seed decides the split.
        folder: the folder that holds a folder for each class, or train and test.
        size: what pictures are resized to, in pixels: one number for both sides, or [height, width].
        grayscale: one grey channel instead of red, green and blue.
        decode: false leaves the pictures as clients send them, to a handler such as image-decode, which says their size.
        test_sets: the names of further test sets: folders beside train and test, with a folder for each class.
        test_fraction: part of each class that is set apart for testing, where there are no train and test folders.
    """
    root = Path(folder)
    height, width = (size, size) if isinstance(size, int) else size
    shape = ((height, width), 1 if grayscale else 3)
    sets: dict[str, list[Picture]] = {}
    if is_split(root):
        train, names = find_pictures(root / "train")
        test = _pictures(root, "test", names)
        sets = {name: _pictures(root, name, names) for name in test_sets}
    elif test_sets:
        msg = f"{root}: test_sets: {test_sets[0]!r} is a folder beside train and test, which are not there\n  make them, or leave test_sets out"
        raise DataError(msg)
    else:
        pictures, names = find_pictures(root)
        keep, apart = stratified_split(_labels(pictures), test_fraction, context.seed)
        train, test = [pictures[row] for row in keep], [pictures[row] for row in apart]
    total = sum(map(len, (train, test, *sets.values())))
    read: Callable[[list[Picture]], Any] = _Reader(context, *shape, total=total) if decode else _paths
    further = {name: (read(pictures), _labels(pictures)) for name, pictures in sets.items()}
    value_range = (0, 255) if decode else None
    return Splits(read(train), _labels(train), read(test), _labels(test), names, value_range, test_sets=further)


def _pictures(root: Path, split: str, names: tuple[str, ...]) -> list[Picture]:
    """Return the pictures of a split, whose classes must be those of the training split.

    Raises:
        DataError: they are others.
    """
    found, own = find_pictures(root / split)
    if own != names:
        only = ", ".join(sorted(set(names) ^ set(own)))
        msg = f"{root}: train and {split} hold different classes: {only}\n  give both the same folders"
        raise DataError(msg)
    return found


def _paths(pictures: list[Picture]) -> list[Path]:
    return [path for path, _ in pictures]


def check(
    context: CheckContext,  # noqa: ARG001 - nothing else of the project decides this
    *,
    size: int | tuple[int, ...],
    grayscale: bool,
    decode: bool,
    **_: Any,
) -> Iterator[Problem]:
    """Yield what is said of pixels where pictures stay as they are."""
    for key, is_given in (("size", size != _SIZE), ("grayscale", grayscale)):
        if is_given and not decode:
            yield Problem(key, "decode = false leaves the pictures as they are", "tell the handler, or remove decode")


def _labels(pictures: list[Picture]) -> NDArray[np.int64]:
    import numpy as np

    return np.array([label for _, label in pictures], np.int64)


class _Reader:
    """Reads pictures into arrays that live on disk, and counts them; those that were decoded before are not decoded again."""

    def __init__(self, context: StageContext, size: tuple[int, int], channels: int, total: int) -> None:
        self.context, self.size, self.channels, self.total, self.done = context, size, channels, total, 0

    def __call__(self, pictures: list[Picture]) -> NDArray[np.uint8]:
        import numpy as np
        from PIL import features

        shape = (len(pictures), *self.size, self.channels)
        images: NDArray[np.uint8] = on_disk(self.context.cache, np.uint8, shape)
        with self.context.decoded(f"{shape[1:]}, libjpeg {features.version('jpg')}") as decoded:
            for row, (path, _) in enumerate(pictures):
                pixels = decoded.once(path.read_bytes(), partial(self._decode, path))
                images[row] = np.frombuffer(pixels, np.uint8).reshape(shape[1:])
                self.done += 1
                if self.done % 100 == 0 or self.done == self.total:
                    self.context.progress(self.done, self.total, unit="pictures")
        return images

    def _decode(self, path: Path, content: bytes) -> bytes:
        return read_picture(path, content, self.size, self.channels).tobytes()


def read_picture(path: Path, content: bytes, size: tuple[int, int], channels: int) -> NDArray[np.uint8]:
    """Return one picture, upright and resized, uint8, shape `(*size, channels)`.

    Args:
        path: the file that it is from, for messages.
        content: a PNG or JPEG.
        size: height and width, in pixels.
        channels: 1 for grey, 3 for RGB.

    Raises:
        DataError: it is damaged, or has more than 8 bits a channel.
    """
    import numpy as np
    from PIL import Image, ImageOps

    def pixels(picture: Any) -> Any:
        if picture.mode.startswith(("I", "F")):
            msg = (
                f"{path}: has more than 8 bits a channel (mode {picture.mode})\n"
                "  convert it to 8 bits, or use the data set 'arrays'"
            )
            raise DataError(msg)
        plain = ImageOps.exif_transpose(picture).convert("L" if channels == 1 else "RGB")
        return np.asarray(plain.resize(size[::-1], Image.Resampling.BILINEAR)).reshape(*size, channels)

    found: NDArray[np.uint8] = _opened(path, content, pixels)
    return found


def _opened(path: Path, content: bytes, use: Callable[[Any], Any]) -> Any:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as picture:
            return use(picture)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as exc:
        why = str(exc).partition(" <_io.")[0]  # behind it an address in memory
        msg = f"{path}: cannot be read as PNG or JPEG: {why}\n  replace the file, or take it out of the folder"
        raise DataError(msg) from exc


@hookimpl
def modelyard_register_datasets(register: Register) -> None:
    """Register the data set."""
    register("image-folder", image_folder, tools=("pillow", "numpy"), deterministic=True, check=check)
