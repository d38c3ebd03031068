"""Columns of a table that stay as they are: texts, the names of files, and numbers that may be missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.contexts import Problem
from modelyard.errors import DataError, did_you_mean
from modelyard_plugins.support.data.table import is_number, is_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
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
            msg = f"{table.path}, {table.unit} {line}: the file {text!r:.200} {why}; folder: {folder}\n  mend the column {name!r}, or the folder"
            raise DataError(msg)
    return _objects([root / text for _, text in table.texts[name]])


def cells_of(table: Table, name: str) -> NDArray[Any]:
    """Return what the column `name` holds, shape `(rows,)`: texts, unless all that stands there is a number.

    Numbers are int64 where all are whole and none is missing, else float32 with NaN for each that is missing.
    """
    import numpy as np

    texts = [text for _, text in table.texts[name]]
    if not any(texts) or not all(is_number(text) for text in texts if text):
        return texts_of(table, name)
    if all(is_whole(text) for text in texts):
        return np.array([int(text) for text in texts], np.int64)
    return np.array([float(text or "nan") for text in texts], np.float32)


def both_ways(
    columns: Sequence[str], sent: str | Sequence[str], value_range: tuple[float, float] | None
) -> Iterator[Problem]:
    """Yield what is said of numbers where a sample is what clients send.

    Args:
        columns: the columns of numbers, as the project names them.
        sent: the column of texts or files, or several columns.
        value_range: what numbers may be.
    """
    if sent and columns:
        yield Problem("sent", "columns says what a sample is, too", "remove columns or sent")
    if sent and value_range:
        yield Problem("value_range", "what clients send has no lowest and highest value", "remove it")


def named_files(sent: str | tuple[str, ...], folder: str | None, files: tuple[str, ...]) -> Iterator[Problem]:
    """Yield that it is not said which columns name files, or where these are.

    Args:
        sent: the column that clients send, or several.
        folder: where files are.
        files: of several columns those that name files.
    """
    if folder is not None and not sent:
        yield Problem("folder", "sent is not set", "name in sent the column that has the files' names")
    elif folder is not None and isinstance(sent, tuple) and not files:
        why = "sent is a list of columns"
        yield Problem("folder", why, f"name in files those that have the files' names, for instance [{sent[0]!r}]")
    elif files and not isinstance(sent, tuple):
        yield Problem("files", "sent is no list of columns", "remove files: the column sent has the files' names")
    elif files and folder is None:
        yield Problem("files", "folder is not set", "name in folder the folder of the files")
    for name in files:
        if isinstance(sent, tuple) and name not in sent:
            why = f"{name!r} is none of the columns in sent{did_you_mean(name, sent)}"
            yield Problem("files", why, f"sent: {', '.join(sent)}")


def one_text(target: Sequence[str], *, as_text: bool) -> Iterator[Problem]:
    """Yield that several targets, or none, cannot stay one text."""
    if as_text and len(target) != 1:
        yield Problem(
            "as_text", f"target names {len(target)} columns", "name the one that holds the texts, or remove as_text"
        )


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    import numpy as np

    found = np.empty(len(values), object)
    found[:] = values
    return found
