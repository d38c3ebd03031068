"""Folders for what is half-made: each is locked as long as its maker lives, and swept by who comes later.

The lock is the kernel's (`flock`), on a file beside the folder that is there before the folder is and goes after it.
So it ends with its holder, however that ends, and it means the same in every container and, where the file system
passes locks on, on every host; a process id would not.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard.errors import StoreError
from modelyard.locks import hold

_LOCK = ".lock"


@contextmanager
def scratch(unfinished: Path) -> Iterator[Path]:
    """Give a new folder below `unfinished`, which is gone at the end of the block.

    Raises:
        StoreError: it cannot be made: no room, no permission.
    """
    folder = unfinished / os.urandom(8).hex()
    with _alive(folder, wait=True):  # for who sweeps, and has taken it in the moment before it was locked
        try:
            folder.mkdir(mode=0o700)
        except OSError as exc:
            msg = f"{unfinished}: {exc.strerror}\n  the project's folder must be writable, and its disk must have room"
            raise StoreError(msg) from exc
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sweep(unfinished: Path) -> None:
    """Remove the folders below `unfinished` whose makers are no longer alive."""
    with contextlib.suppress(OSError):
        names = {name.removesuffix(_LOCK) for name in os.listdir(unfinished)}  # noqa: PTH208 - every build pays for it
        for name in names:
            with contextlib.suppress(StoreError), _alive(unfinished / name, wait=False):
                shutil.rmtree(unfinished / name, ignore_errors=True)


def _alive(folder: Path, *, wait: bool) -> contextlib.AbstractContextManager[None]:
    """Be the one who makes, or removes, `folder`."""
    lock = folder.with_name(f"{folder.name}{_LOCK}")
    return hold(lock, str(folder), lambda _: None, wait=wait, verb="is used by", transient=True)
