"""One build at a time for a stage: a lock that says who holds it and dies with its holder."""

from __future__ import annotations

import fcntl
import math
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from modelyard.errors import StoreError

_POLL_S = 0.1
_TELL_AGAIN_S = 60.0


@contextmanager
def hold(path: Path, what: str, tell: Callable[[str], None], *, wait: bool = True) -> Iterator[None]:
    """Hold the lock file `path` while the block runs.

    The kernel drops the lock when its holder ends, however it ends, so there is no stale lock to take over.

    Args:
        path: the lock file; it stays behind, empty of meaning.
        what: what is locked, for messages.
        tell: called with a line that says who holds the lock, since when, if it must be waited for.
        wait: whether to wait; otherwise a held lock is an error.

    Raises:
        StoreError: the lock is held and `wait` is false, or the file cannot be opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as exc:
        msg = f"{path}: cannot be opened: {exc.strerror}\n  the project's folder must be writable"
        raise StoreError(msg) from exc
    try:
        _acquire(file, what, tell, wait=wait)
        _sign(file)
        yield
    finally:
        os.close(file)


def _acquire(file: int, what: str, tell: Callable[[str], None], *, wait: bool) -> None:
    told = -math.inf
    while not _try(file):
        holder = _holder(file)
        if not wait:
            msg = f"{what} is being built by {holder}\n  wait for it, or leave --no-wait out"
            raise StoreError(msg)
        if time.monotonic() - told > _TELL_AGAIN_S:
            tell(f"waiting for {what}, which is being built by {holder}")
            told = time.monotonic()
        time.sleep(_POLL_S)


def _try(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(file: int) -> None:
    now = datetime.now(UTC).astimezone().isoformat(sep=" ", timespec="seconds")
    text = f"process {os.getpid()} on {socket.gethostname()} since {now}"
    os.ftruncate(file, 0)
    os.pwrite(file, text.encode(), 0)


def _holder(file: int) -> str:
    return os.pread(file, 500, 0).decode(errors="replace") or "another process"
