"""Copy a file from a remote, and no more of it than it is known to hold, for no longer than somebody waits.

Imported where a remote is used: it needs fsspec.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.callbacks import Callback


class _Enough(Exception):
    """The file has more bytes than it should, or nobody waits for it any more."""


class BoundedCopy(Callback):  # type: ignore[misc]
    """What fsspec tells of a copy, piece by piece; it ends the copy after the piece that is too much.

    Args:
        size_bytes: how many bytes the file has at most.
    """

    def __init__(self, size_bytes: int) -> None:
        super().__init__()
        self._left, self._ended = size_bytes, threading.Event()

    def relative_update(self, inc: int = 1) -> None:
        """Count a piece of `inc` bytes."""
        self._left -= inc
        if self._left < 0 or self._ended.is_set():
            raise _Enough

    def end(self) -> None:
        """Let a copy that still runs, in a thread that nobody waits for, stop at its next piece."""
        self._ended.set()

    def fetch(self, fs: Any, path: str, target: Path) -> bool:
        """Copy the file `path` of the file system `fs` to `target`; return whether it has no more bytes than it may.

        Raises:
            FileNotFoundError: it is not there.
        """
        # a local file system has a copy of its own, which tells nothing and follows what grows for ever
        is_local = "file" in ([fs.protocol] if isinstance(fs.protocol, str) else fs.protocol)
        copy = AbstractFileSystem.get_file.__get__(fs) if is_local else fs.get_file
        try:
            copy(path, str(target), callback=self)
        except _Enough:
            return False
        return True


@contextlib.contextmanager
def bounded(size_bytes: int) -> Iterator[BoundedCopy]:
    """Give a copy of at most `size_bytes`, which ends with the block."""
    copy = BoundedCopy(size_bytes)
    try:
        yield copy
    finally:
        copy.end()


def read_small(fs: Any, path: str, copy: BoundedCopy) -> bytes:
    """Return the bytes of a small file; none of one that is too long."""
    with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
        target = Path(folder, "file")
        return target.read_bytes() if copy.fetch(fs, path, target) else b""
