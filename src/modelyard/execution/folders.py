"""Know the folder that a file is opened from: the audit event of `os.open` has the name, and not what it is relative to.

The standard library removes and walks trees in this way. Without the folder, `log` in a temporary tree would be taken for
the file `log` of the project, where the process stands.
"""

from __future__ import annotations

import os
import threading
from typing import Any


class _Folder(threading.local):
    path = ""


_current = _Folder()


def watch_folders() -> None:
    """Know from now on what is opened with `dir_fd`."""
    plain = os.open
    if getattr(plain, "knows_folders", False):
        return

    def opened(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if dir_fd is None:
            return plain(path, flags, mode)
        _current.path = _path_of(dir_fd)
        try:
            return plain(path, flags, mode, dir_fd=dir_fd)
        finally:
            _current.path = ""

    opened.knows_folders = True  # type: ignore[attr-defined]
    os.open = opened
    os.supports_dir_fd.add(opened)


def absolute(name: str) -> str:
    """Return the absolute path of what is being opened, relative to the folder that was given with it."""
    return os.path.abspath(os.path.join(_current.path, name))  # noqa: PTH100, PTH118 - each file that is opened pays for it


def _path_of(folder: int) -> str:
    """Return where an open folder is, or nothing where the system does not tell: then names are taken from where the process stands."""
    try:
        return os.readlink(f"/proc/self/fd/{folder}")  # noqa: PTH115 - as above
    except OSError:
        return ""
