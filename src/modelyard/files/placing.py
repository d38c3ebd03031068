"""Give the bytes of a file another place: a copy that is hashed on the way, or an inode or blocks that both share.

What stands under a digest must be what was hashed: a file that somebody still writes to may have other bytes a
moment later. So the bytes of a copy are hashed as they are copied, and who reads a file looks at its stat before and after.
"""

# ruff: noqa: PTH101, PTH108, PTH120 - objects of pathlib cost more than the calls that they wrap, and each stage pays for them
from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from modelyard.errors import StoreError
from modelyard.files.digests import signature
from modelyard.files.hashing import LARGE_BYTES, copy_open, hash_file, side_by_side
from modelyard.files.manifest import FileEntry, is_executable

SHARE_FROM_BYTES = 16 * 2**20
"""Smaller files are copied: that costs little, and editing such an artifact by hand cannot reach the store's copy."""


class Taken(NamedTuple):
    """An output on its way into the store: what it is, its stat when it was hashed, and the draft that has its bytes."""

    entry: FileEntry
    info: os.stat_result
    draft: str


def take_all(folder: Path, sizes: Mapping[str, int], draft: Callable[[], str]) -> dict[str, Taken]:
    """Take files of `folder`, by name with about their sizes in bytes, each to a path that `draft` gives.

    Raises:
        StoreError: a file changed meanwhile.
        OSError: one cannot be read, or a draft cannot be written.
    """
    large = [name for name, size in sizes.items() if size >= LARGE_BYTES]
    taken = dict(zip(large, side_by_side(lambda name: take(folder, name, draft()), large), strict=True))
    return {name: taken.get(name) or take(folder, name, draft()) for name in sizes}


def take(folder: Path, name: str, draft: str) -> Taken:
    """Give the store's `draft` the bytes of the output `name` in `folder`.

    Raises:
        StoreError: it changed meanwhile.
        OSError: it cannot be read, or the draft cannot be written.
    """
    source = f"{folder}/{name}"
    info = os.lstat(source)
    if _is_alone(info) and info.st_size >= SHARE_FROM_BYTES and share(source, draft, executable=is_executable(info)):
        os.chmod(draft, 0o444)
        info = os.stat(source)  # a link has changed it
        digest = hash_file(draft)
    else:
        digest, info = copy(source, draft, 0o444)
    taken = Taken(FileEntry(digest, info.st_size, is_executable(info)), info, draft)
    _check_still(folder, name, taken)
    return taken


def _is_alone(info: os.stat_result) -> bool:
    """Tell whether a file is the stage's alone: no link, and not a second name of a file that is elsewhere, too."""
    return stat.S_ISREG(info.st_mode) and info.st_nlink == 1


def check_still(folder: Path, taken: Mapping[str, Taken]) -> None:
    """Refuse outputs of which one changed since it was hashed.

    Raises:
        StoreError: one did.
    """
    for name, one in taken.items():
        _check_still(folder, name, one)


def _check_still(folder: Path, name: str, taken: Taken) -> None:
    if signature(os.stat(f"{folder}/{name}")) != signature(taken.info):
        msg = f"the output {name!r} changed while it was kept\n  its result was not kept: end what still writes to it, then run `doit` again"
        raise StoreError(msg)


def give(source: str, target: str, entry: FileEntry) -> os.stat_result:
    """Give `target` the bytes of the store's object `source`, and return its stat.

    Raises:
        StoreError: the object has other bytes than `entry` says.
        OSError: it cannot be read, or the target cannot be written.
    """
    if not (entry.size >= SHARE_FROM_BYTES and share(source, target, executable=entry.executable)):
        digest, _ = copy(source, target, 0o755 if entry.executable else 0o644)
        if digest != entry.digest:
            msg = f"{source}: has other bytes than its name says\n  run `doit` again: it is made anew"
            raise StoreError(msg)
    return os.stat(target)


def copy(source: str, target: str, mode: int) -> tuple[str, os.stat_result]:
    """Copy a file to the new file `target`.

    Returns:
        The SHA-256 of the bytes that were copied, in hex, and the stat of `source` before they were read.
    """
    reader = os.open(source, os.O_RDONLY)
    try:
        info = os.fstat(reader)
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            digest = copy_open(reader, writer, info.st_size)
            os.fchmod(writer, mode)
        finally:
            os.close(writer)
    finally:
        os.close(reader)
    return digest, info


def share(source: str, target: str, *, executable: bool) -> bool:
    """Let `target` have the bytes of `source` without a copy, where that is safe and the file system can; else False."""
    if clone(source, target):
        os.chmod(target, 0o755 if executable else 0o644)
        return True
    return not executable and link(source, target)


_no_clones: set[tuple[int, int]] = set()
"""The file systems, as from and to, that share no blocks; asking them costs a file that is made and removed."""


def clone(source: str, target: str) -> bool:
    """Share the blocks of `source` copy-on-write, where the file system can (Btrfs, XFS)."""
    ficlone = 0x40049409
    devices = os.stat(source).st_dev, os.stat(os.path.dirname(target)).st_dev
    if devices in _no_clones:
        return False
    import fcntl

    with open(source, "rb") as old, open(target, "wb") as new:
        try:
            fcntl.ioctl(new, ficlone, old.fileno())
        except OSError as exc:
            os.unlink(target)
            if exc.errno in (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV):
                _no_clones.add(devices)
            return False
    return True


def link(source: str, target: str) -> bool:
    """Make `target` a read-only hard link to `source`, unless this is root, to whom read-only means nothing.

    An edit in place would change the store's copy, and that of every project that uses the store.
    A link shares its mode with the store's object, so what is executable cannot be one.
    """
    if os.geteuid() == 0:
        return False
    try:
        os.link(source, target)
    except OSError:
        return False
    os.chmod(target, 0o444)
    return True
