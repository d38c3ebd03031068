"""Read IDX files, the format of MNIST, plain or gzipped."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError
from modelyard_plugins.support.memory import check_fits

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_UINT8 = 0x08


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Return the array of unsigned bytes in `path`, uint8, with the shape that its header says.

    Args:
        path: the file; a name that ends in `.gz` is gunzipped.
        dimensions: how many dimensions the array must have.

    Raises:
        DataError: the file is missing, is no IDX file of bytes with `dimensions`, or is longer or shorter than it says.

    Source: the section "THE IDX FILE FORMAT" of the MNIST page: two zero bytes, type (8: unsigned byte), number
        of dimensions, each size as a big-endian 32-bit integer, then the data, the last dimension fastest.
    """
    import gzip
    import zlib

    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return _read(file, path, dimensions)
    except FileNotFoundError as exc:
        msg = f"{path}: not found"
        raise DataError(msg) from exc
    except (OSError, EOFError, zlib.error) as exc:
        msg = f"{path}: cannot be read: {exc}\n  the file is damaged: get it again"
        raise DataError(msg) from exc


def _read(file: Any, path: Path, dimensions: int) -> NDArray[np.uint8]:
    import numpy as np

    magic = file.read(4)
    wanted = bytes((0, 0, _UINT8, dimensions))
    if magic != wanted:
        msg = (
            f"{path}: starts with {magic.hex()!r}, not with the magic number {wanted.hex()!r}\n"
            f"  it is no IDX file of bytes with {dimensions} dimensions"
        )
        raise DataError(msg)
    header = file.read(4 * dimensions)
    if len(header) < 4 * dimensions:
        msg = f"{path}: ends within its header\n  the file is damaged: get it again"
        raise DataError(msg)
    shape = tuple(int(size) for size in np.frombuffer(header, ">u4"))
    if path.suffix == ".gz":  # a few bytes can unpack to any number
        check_fits(path, math.prod(shape), "the file is damaged: get it again")
    data = _exactly(file, math.prod(shape), path, shape)
    return np.frombuffer(data, np.uint8).reshape(shape)


def _exactly(file: Any, size: int, path: Path, shape: tuple[int, ...]) -> bytes:
    """Read to the end, a piece at a time: a header that lies must not cost memory."""
    pieces, read = [], 0
    while read <= size and (piece := file.read(min(1 << 20, size + 1 - read))):
        pieces.append(piece)
        read += len(piece)
    if read != size:
        relation = "more" if read > size else f"{read:,}"
        msg = (
            f"{path}: the header says {shape}, {size:,} bytes, but there are {relation}\n"
            "  the file is damaged: get it again"
        )
        raise DataError(msg)
    return b"".join(pieces)
