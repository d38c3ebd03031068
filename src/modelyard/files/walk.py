"""Every file below a folder, in the same order every time."""

from __future__ import annotations

import operator
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from modelyard.errors import DataError
from modelyard.files.hashing import unreadable

COMPILED = "__pycache__"
"""The folder that compiled modules are in: who imports one writes there, so that it is nothing that a person gives."""


def walk(folder: Path | str, *, compiled: bool = True) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every file below `folder`: its path there and its stat, in the same order every time.

    A link to a file stands for the file.

    Args:
        folder: where to look.
        compiled: whether compiled Python counts.

    Raises:
        DataError: something is neither a file nor a folder, cannot be read, or has a name that is not UTF-8.
    """
    todo = [("", str(folder))]
    while todo:
        prefix, path = todo.pop()
        try:
            with os.scandir(path) as entries:
                found = sorted(entries, key=_by_name)
        except OSError as exc:
            raise unreadable(path, exc) from exc
        for entry in found:
            if entry.name == COMPILED and not compiled:
                continue
            name = f"{prefix}{entry.name}"
            try:
                info = entry.stat()
            except OSError as exc:
                raise unreadable(entry.path, exc) from exc
            if not name.isprintable():
                _check_name(name, path)
            if stat.S_ISREG(info.st_mode):
                yield name, info
            elif entry.is_dir(follow_symlinks=False):
                todo.append((f"{name}/", entry.path))
            else:
                msg = f"{entry.path}: neither a file nor a folder\n  remove it: only files can be kept"
                raise DataError(msg)


_by_name = operator.attrgetter("name")


def _check_name(name: str, folder: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as exc:
        msg = f"{folder}: {os.fsencode(name)!r} has a name that is not UTF-8\n  rename it"
        raise DataError(msg) from exc
