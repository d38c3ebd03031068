"""Further test sets of a data set: files or folders in one folder, each called as the set is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


def files_of_sets(folder: Path, suffixes: Collection[str], *, folders: bool = False) -> dict[str, Path]:
    """Return the file of each test set by its name, in the order of the names; hidden files are none.

    Args:
        folder: the folder that holds them.
        suffixes: what the files' names end in.
        folders: whether a folder may be a set, too.

    Raises:
        DataError: it holds none, something else, or two of one name.
    """
    found: dict[str, Path] = {}
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    for file in (one for one in there if not one.name.startswith(".")):
        if not (file.suffix in suffixes or (folders and file.is_dir())) or file.stem in found:
            why = f"holds two called {file.stem!r}" if file.stem in found else f"holds {file.name!r}"
            msg = f"{folder}: {why}\n  it holds one file for each test set: NAME{' or NAME'.join(sorted(suffixes))}"
            raise DataError(msg)
        found[file.stem] = file
    if not found:
        msg = f"{folder}: {'holds no test set' if folder.is_dir() else 'is no folder'}\n  put a file for each into it: NAME{' or NAME'.join(sorted(suffixes))}"
        raise DataError(msg)
    return found
