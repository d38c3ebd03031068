"""Write arrays, and open those that somebody else may have written: nothing is unpickled, and a header that lies costs no memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

from modelyard.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np


def open_array(path: Path, advice: str = "build the stage that wrote it again") -> Any:
    """Return the array in the `.npy` file `path`, memory-mapped read-only.

    Args:
        path: the file.
        advice: what to do if it is damaged.

    Raises:
        DataError: it is missing or damaged, is shorter than its header says, or holds pickled objects.
    """
    import numpy as np

    try:
        return np.lib.format.open_memmap(path, mode="r")
    except Exception as exc:  # numpy parses the header as Python's own text, and lets out what the parser raises
        pickled = "Python objects" in str(exc)
        what = (
            "holds pickled objects, which are never loaded" if pickled else f"cannot be read as an array: {_line(exc)}"
        )
        msg = f"{path}: {what}\n  {advice}"
        raise DataError(msg) from exc


def write_header(file: BinaryIO, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Write the header of an array. It takes as much room however many samples there are, so that it can be written anew."""
    import numpy as np

    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _line(exc: Exception) -> str:
    return " ".join(str(exc).split())[:200] or type(exc).__name__
