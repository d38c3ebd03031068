"""Columns of a table that stay as they are: texts, and the names of files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from modelyard_plugins.support.data.table import Table


def texts_of(table: Table, name: str) -> NDArray[Any]:
    """Return the texts in the column `name`, an array of objects, shape `(rows,)`."""
    return _objects([text for _, text in table.texts[name]])


def files_of(table: Table, name: str, folder: Path) -> NDArray[Any]:
    """Return the paths of the files that the column `name` names, an array of objects, shape `(rows,)`.

    Args:
        table: what was read.
        name: the column; each cell is a path below `folder`, with `/` between its parts.
        folder: where the files are.

    Raises:
        DataError: a file is not there, or lies elsewhere, where a change of it would not be seen.
    """
    root = folder.resolve()
    for line, text in table.texts[name]:
        path = root / text
        is_inside = path.resolve().is_relative_to(root)
        if not text or not is_inside or not path.is_file():
            why = "is not there" if text and is_inside else "is empty" if not text else "is not below it"
            msg = f"{table.path}, line {line}: the file {text!r:.200} {why}; folder: {folder}\n  mend the column {name!r}, or the folder"
            raise DataError(msg)
    return _objects([root / text for _, text in table.texts[name]])


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    import numpy as np

    found = np.empty(len(values), object)
    found[:] = values
    return found
