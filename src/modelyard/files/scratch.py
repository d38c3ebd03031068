"""Folders for what is half-made: they go with their use, and what a killed process left is swept by who comes later.

A process keeps one folder as long as it makes things, and in it one for each. The first is locked as long as its maker
lives: by the kernel (`flock`), on a file beside it that is there before the folder is and goes after it. So the lock ends
with its holder, however that ends, and it means the same in every container and, where the file system passes locks on, on
every host; a process id would not.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path

from modelyard.errors import StoreError
from modelyard.files.locks import hold

_LOCK = ".lock"


class Scratch:
    """Gives new folders below `unfinished`, which other processes may use, too."""

    def __init__(self, unfinished: Path) -> None:
        self.unfinished = unfinished
        self._process = os.getpid()
        self._numbers, self._lock = itertools.count(), threading.Lock()
        self._kept: Path | None = None
        self._emptied: list[Path] = []
        self._stack = ExitStack()
        weakref.finalize(self, _close, self._stack, self._process)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Give a new folder, which is gone at the end of the block.

        Raises:
            StoreError: it cannot be made: no room, no permission.
        """
        with self._home() as home:
            folder = self._new(home)
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def drafts(self) -> Iterator[Path]:
        """Give an empty folder for files that this process moves away; it is used again, since making one takes a while.

        Raises:
            StoreError: it cannot be made: no room, no permission.
        """
        with self._home() as home:
            folder = self._emptied_in(home) or self._new(home)
            try:
                yield folder
            finally:
                if _empty(folder):
                    self._emptied.append(folder)

    def _emptied_in(self, home: Path) -> Path | None:
        """Take a folder in `home` that is empty again; None: there is none, or a person removed it."""
        with contextlib.suppress(IndexError):
            folder = self._emptied.pop()
            return folder if folder.parent == home and folder.is_dir() else None
        return None

    def _new(self, home: Path) -> Path:
        folder = Path(f"{home}/{next(self._numbers)}")
        with _saying_why(self.unfinished):
            folder.mkdir()
        return folder

    def _home(self) -> AbstractContextManager[Path]:
        """Return this process's own folder; in one that was forked, and whose end nobody tells, one for this time alone."""
        if os.getpid() != self._process:
            return _alive_in(self.unfinished)
        with self._lock:
            if self._kept is None or not self._kept.is_dir():  # a person may have removed it
                self._kept = self._stack.enter_context(_alive_in(self.unfinished))
            return nullcontext(self._kept)

    def sweep(self) -> None:
        """Remove what is there of processes that are no longer alive."""
        with contextlib.suppress(OSError):
            names = {name.removesuffix(_LOCK) for name in os.listdir(self.unfinished)}  # noqa: PTH208 - every build pays for it
            for name in names:
                with contextlib.suppress(StoreError), _alive(self.unfinished / name, wait=False):
                    shutil.rmtree(self.unfinished / name, ignore_errors=True)

    def close(self) -> None:
        """Remove this process's folder; a later use makes another."""
        self._kept = None
        _close(self._stack, self._process)


def _empty(folder: Path) -> bool:
    """Remove the files in `folder`; False if it cannot be used again: then it is gone, as far as it can be removed."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                os.unlink(entry.path)  # noqa: PTH108 - each stage pays for it
    except OSError:  # a folder is in it, say
        shutil.rmtree(folder, ignore_errors=True)
        return False
    return True


def _close(stack: ExitStack, process: int) -> None:
    if os.getpid() == process:  # else it is that of the process which this one was forked from
        stack.close()


@contextmanager
def _alive_in(unfinished: Path) -> Iterator[Path]:
    """Give a new folder that is known to be in use as long as the block runs."""
    folder = unfinished / os.urandom(8).hex()
    with _alive(folder, wait=True):  # for who sweeps, and has taken it in the moment before it was locked
        with _saying_why(unfinished):
            folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _alive(folder: Path, *, wait: bool) -> AbstractContextManager[None]:
    """Be the one who makes, or removes, `folder`."""
    lock = folder.with_name(f"{folder.name}{_LOCK}")
    return hold(lock, str(folder), lambda _: None, wait=wait, verb="is used by", transient=True)


@contextmanager
def _saying_why(unfinished: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        msg = f"{unfinished}: {exc.strerror}\n  the project's folder must be writable, and its disk must have room"
        raise StoreError(msg) from exc
