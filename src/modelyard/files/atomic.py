"""Write files so that each is seen whole or not at all: one that can be made again (`replacing`), or for good (`Batch`).

A file of a batch is there after the power failed, too. It is written elsewhere, synced and renamed to its place, and then
the folder that has its name is synced. Several are synced together: the disk then flushes once for all of them, where one
after the other would wait for a flush each.
"""

# ruff: noqa: PTH105 - objects of pathlib cost more than the calls that they wrap, and each stage pays for them
from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from modelyard.concurrency.thread_pool import ThreadPool
from modelyard.system import sync_file_system

_threads: ThreadPool[Path | str] = ThreadPool(15)
"""With the thread that asks, as many files are synced at a time."""

_NAME = 40
"""How much of a file's name its draft has: a name has 255 bytes at most, and the draft's says more."""

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


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of `data` to an open file.

    Raises:
        OSError: it cannot be written, or not whole.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


@contextlib.contextmanager
def replacing(target: Path, folder: Path | None = None) -> Iterator[Path]:
    """Give a path to write to; what is there at the end becomes `target`, or goes if the block raises.

    Whoever reads `target` meanwhile sees all of it or nothing, and any number may write it at once. It is not synced: the
    power may take it.

    Args:
        target: the file; the folder that it is in is made if need be.
        folder: where it is written first, on the file system of `target`; beside it if left out.

    Raises:
        OSError: it cannot be renamed, or the folder cannot be made.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(folder or target.parent, f".{target.name[:_NAME]}.{os.urandom(8).hex()}.new")
    try:
        yield draft
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)


class Batch:
    """Files on their way to their places.

    Args:
        folder: where they are written first; on the file system of their places.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self._waiting: list[tuple[str, Path]] = []

    def draft(self) -> str:
        """Return a path that nothing uses, to write a file to."""
        return f"{self._folder}/{next(self._numbers)}"

    def put(self, draft: str, target: Path) -> None:
        """Let the file `draft` become `target` when the batch is finished."""
        self._waiting.append((draft, target))

    def finish(self, check: Callable[[], None] = lambda: None) -> None:
        """Have all files on the disk, put each in its place, in the order in which they were put here, and have that on the disk.

        Args:
            check: called before the first is put in its place; if it raises, none is.

        Raises:
            OSError: one cannot be synced or renamed.
        """
        sync([draft for draft, _ in self._waiting])
        check()
        _place(self._waiting)
        self._waiting.clear()


def _place(files: Iterable[tuple[str, Path]]) -> None:
    """Rename each file to its place, and have the names on the disk, those of folders that were made for it included."""
    changed: set[Path] = set()
    for draft, target in files:
        changed |= _make(target.parent)
        os.replace(draft, target)
        changed.add(target.parent)
    sync(sorted(changed))


def _make(folder: Path) -> set[Path]:
    """Make `folder` and those above it, where they are not there; return the folders that have a new one in them."""
    try:
        folder.mkdir()
    except FileExistsError:
        return set()
    except FileNotFoundError:
        return _make(folder.parent) | _make(folder)
    return {folder.parent}


def sync(paths: Sequence[Path | str]) -> None:
    """Have the content of `paths`, files or folders of one file system, on the disk.

    Raises:
        OSError: one cannot be read, or the disk cannot be written.
    """
    if len(paths) >= _MANY and _sync_file_system(paths[0]):
        return
    if paths:
        _threads.run(_sync, paths)


def _sync(path: Path | str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_file_system(path: Path | str) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return sync_file_system(descriptor)
    except OSError as exc:
        raise OSError(exc.errno, exc.strerror, str(path)) from exc
    finally:
        os.close(descriptor)


def replace_folder(folder: Path, new: Path | None, scratch: Path) -> None:
    """Put the folder `new`, or nothing, in the place of `folder`: who reads it sees the whole of one of them.

    Args:
        folder: the place; it need not be there.
        new: what stands there from now on; None: nothing.
        scratch: an empty place of the same file system, for what stood there until it is removed.

    Raises:
        OSError: one cannot be renamed.
    """
    old = scratch / "old"
    if folder.exists():
        folder.rename(old)
    if new is not None:
        new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
