"""One build at a time for a stage: a lock that says who holds it and dies with its holder."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import math
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from modelyard.errors import StoreError
from modelyard.files.atomic import open_in_folder

_POLL_S = 0.1
_TELL_AGAIN_S = 60.0
_NO_WAIT = "wait for it, or leave out --no-wait (store.wait = false)"


@contextmanager
def hold(
    path: Path,
    what: str,
    tell: Callable[[str], None],
    *,
    wait: bool = True,
    verb: str = "is being built by",
    transient: bool = False,
) -> Iterator[None]:
    """Hold the lock file `path` while the block runs.

    The kernel drops the lock when its holder ends, however it ends, so there is no stale lock to take over.

    Args:
        path: the lock file; it stays behind, empty of meaning, unless `transient` is set.
        what: what is locked, for messages.
        tell: called with a line that says who holds the lock, since when, if it must be waited for.
        wait: whether to wait; otherwise a held lock is an error.
        verb: what its holder does with `what`, for messages.
        transient: whether to remove the file in the end, for locks of which there would be many.

    Raises:
        StoreError: the lock is held and `wait` is false, or the file cannot be opened.
    """
    file = _acquire(path, what, tell, wait=wait, verb=verb)
    try:
        _sign(file)
        yield
    finally:
        if transient:
            path.unlink(missing_ok=True)  # while it is held: who waits for it sees that it is gone and starts over
        else:
            os.ftruncate(file, 0)
        os.close(file)


@contextmanager
def share(path: Path, what: str, tell: Callable[[str], None], verb: str, *, wait: bool) -> Iterator[None]:
    """Keep `path` from being held alone while the block runs; any number may share it.

    Who cannot write there shares nothing and goes on: it changes nothing there either.

    Raises:
        StoreError: it is held alone, and `wait` is false.
    """
    try:
        file = _open(path)
    except StoreError:
        yield
        return
    try:
        _lock(file, fcntl.LOCK_SH, what, tell, wait=wait, verb=verb)
        yield
    finally:
        os.close(file)


@contextmanager
def take(folder: Path, name: str, count: int, tell: Callable[[str], None], *, wait: bool) -> Iterator[None]:
    """Hold one of the `count` places of the resource `name` while the block runs; builds of other processes count, too.

    Args:
        folder: where the lock files are.
        name: the resource.
        count: how many may hold it at once.
        tell: called with a line that says who holds it, if that is another process.
        wait: whether to wait for another process; this one's own stages are always waited for.

    Raises:
        StoreError: other processes hold it and `wait` is false, or a file cannot be opened.
    """
    with contextlib.ExitStack() as stack:
        files = [_open(folder / f"resource-{name}-{number}.lock") for number in range(count)]
        for file in files:
            stack.callback(os.close, file)
        told = -math.inf
        while (mine := next((file for file in files if _try(file, fcntl.LOCK_EX)), None)) is None:
            others = [h for h in map(_holder, files) if not h.startswith(f"process {os.getpid()} on {_host()} ")]
            if others and not wait:
                msg = f"the resource {name} is held by {others[0]}\n  {_NO_WAIT}"
                raise StoreError(msg)
            if others and time.monotonic() - told > _TELL_AGAIN_S:
                tell(f"waiting for the resource {name}, which is held by {others[0]}")
                told = time.monotonic()
            time.sleep(_POLL_S)
        _sign(mine)
        yield


def _acquire(path: Path, what: str, tell: Callable[[str], None], *, wait: bool, verb: str) -> int:
    """Return the open file of `path`, locked; one that its last holder removed meanwhile is opened anew."""
    while True:
        file = _open(path)
        try:
            _lock(file, fcntl.LOCK_EX, what, tell, wait=wait, verb=verb)
        except BaseException:
            os.close(file)
            raise
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), path.stat()):
                return file
        os.close(file)


def _open(path: Path) -> int:
    try:
        return open_in_folder(path, os.O_RDWR | os.O_CREAT)
    except OSError as exc:
        msg = f"{path}: cannot be opened: {exc.strerror}\n  the project's folder must be writable, and its disk must have room"
        raise StoreError(msg) from exc


def _lock(file: int, mode: int, what: str, tell: Callable[[str], None], *, wait: bool, verb: str) -> None:
    told = -math.inf
    while not _try(file, mode):
        holder = _holder(file)
        if not wait:
            msg = f"{what} {verb} {holder}\n  {_NO_WAIT}"
            raise StoreError(msg)
        if time.monotonic() - told > _TELL_AGAIN_S:
            tell(f"waiting for {what}, which {verb} {holder}")
            told = time.monotonic()
        time.sleep(_POLL_S)


def _try(file: int, mode: int) -> bool:
    try:
        fcntl.flock(file, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


_host = functools.cache(socket.gethostname)


def _sign(file: int) -> None:
    """Write down who holds the lock; on a full disk it is held without a word."""
    now = datetime.now(UTC).astimezone().isoformat(sep=" ", timespec="seconds")
    text = f"process {os.getpid()} on {_host()} since {now}"
    with contextlib.suppress(OSError):
        os.ftruncate(file, 0)
        os.pwrite(file, text.encode(), 0)


def _holder(file: int) -> str:
    return os.pread(file, 500, 0).decode(errors="replace") or "another process"
