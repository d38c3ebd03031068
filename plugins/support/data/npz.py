"""Read `.npz` files that somebody else may have written: nothing is unpickled, no header is believed.

Source: numpy's NEP 1, "A Simple File Format for NumPy Arrays"; a `.npz` file is a zip of `.npy` files.
"""

from __future__ import annotations

import math
import zipfile
from typing import IO, TYPE_CHECKING, Any

from modelyard.errors import DataError
from modelyard_plugins.support.memory import check_fits

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

SAVE_PLAIN = "save plain arrays of numbers with numpy.save or numpy.savez"


def read_npz(path: Path) -> dict[str, NDArray[np.generic]]:
    """Return the arrays in `path` by name.

    Raises:
        DataError: it is missing or damaged, holds pickled objects, or unpacks to more than the machine's memory.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            total = sum(info.file_size for info in members)
            check_fits(path, total, "make a folder of .npy files of it: they are read a piece at a time")
            return {info.filename.removesuffix(".npy"): _read(archive, info) for info in members}
    except DataError:
        raise
    except _Pickled as exc:
        msg = f"{path}: holds pickled objects, which are never loaded\n  {SAVE_PLAIN}"
        raise DataError(msg) from exc
    except Exception as exc:  # numpy parses headers as Python's own text; zipfile and zlib have errors of their own
        msg = f"{path}: cannot be read: {' '.join(str(exc).split())[:200] or type(exc).__name__}\n  {SAVE_PLAIN}"
        raise DataError(msg) from exc


class _Pickled(Exception):
    """An array of Python objects."""


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[np.generic]:
    import numpy as np

    with archive.open(info) as member:
        size_bytes = _said_bytes(member)
    if size_bytes != info.file_size:
        msg = f"{info.filename}: its header says {size_bytes:,} bytes, but it has {info.file_size:,}"
        raise ValueError(msg)
    with archive.open(info) as member:
        array: NDArray[np.generic] = np.lib.format.read_array(member, allow_pickle=False)
        return array


def _said_bytes(member: IO[bytes]) -> int:
    """Return the size that an array's header says it has, in bytes, with the header."""
    import numpy as np

    version: Any = np.lib.format.read_magic(member)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        msg = f"version {version} of the format, which is for records"
        raise ValueError(msg)
    shape, _, dtype = read(member)
    if dtype.hasobject:
        raise _Pickled
    return member.tell() + math.prod(shape) * int(dtype.itemsize)
