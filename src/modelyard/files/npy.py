"""Open arrays that somebody else may have written: nothing is unpickled, and a header that lies costs no memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


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


def _line(exc: Exception) -> str:
    return " ".join(str(exc).split())[:200] or type(exc).__name__
