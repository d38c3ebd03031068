"""Write files so that each is seen whole or not at all, also after the power failed.

A file is written beside its place, synced and renamed. Several are synced together: the disk then flushes once
for all of them, where one after the other would wait for a flush each.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from modelyard.system import sync_file_system

_AT_ONCE = 16
"""How many files are synced at a time."""

_MANY = 256
"""From this many files on, the whole file system is synced: it takes as long as a few hundred files do."""


def open_in_folder(path: str | Path, flags: int) -> int:
    """Open a file for writing, in a folder that is made if need be; that it is there already is the common case.

    Raises:
        OSError: it cannot be opened, or the folder cannot be made.
    """
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - where `path` is a text
        return os.open(path, flags, 0o666)


class Batch:
    """Files on their way to their places; what is not there at the end of the block is removed."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Path, Path]] = []

    def __enter__(self) -> Batch:
        return self

    def beside(self, target: Path) -> Path:
        """Return a path that nothing uses, in the folder of `target`, which is made if need be."""
        folder = target.parent
        folder.mkdir(parents=True, exist_ok=True)
        beside = Path(f"{folder}/.{os.getpid()}-{os.urandom(8).hex()}")
        self._waiting.append((beside, target))
        return beside

    def finish(self) -> None:
        """Sync all files, and then put each in its place, in the order in which they were asked for.

        Raises:
            OSError: one cannot be synced or renamed.
        """
        sync([beside for beside, _ in self._waiting])
        self._waiting.reverse()
        while self._waiting:
            beside, target = self._waiting[-1]
            beside.replace(target)
            self._waiting.pop()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for beside, _ in self._waiting:
            with contextlib.suppress(OSError):
                beside.unlink()


def sync(paths: Sequence[Path]) -> None:
    """Have the content of `paths`, which are on one file system, on the disk.

    Raises:
        OSError: one cannot be read, or the disk cannot be written.
    """
    if len(paths) >= _MANY and _sync_file_system(paths[0]):
        return
    for start in range(0, len(paths), _AT_ONCE):
        _sync_together(paths[start : start + _AT_ONCE])


def _sync_together(paths: Sequence[Path]) -> None:
    errors: list[OSError] = []

    def work(path: Path) -> None:
        try:
            _sync(path)
        except OSError as exc:
            errors.append(exc)

    threads = [threading.Thread(target=work, args=(path,)) for path in paths[1:]]
    for thread in threads:
        thread.start()
    work(paths[0])
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_file_system(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return sync_file_system(descriptor)
    except OSError as exc:
        raise OSError(exc.errno, exc.strerror, str(path)) from exc
    finally:
        os.close(descriptor)
