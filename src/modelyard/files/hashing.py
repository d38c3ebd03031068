"""SHA-256 of files, at the speed of the hash function or of the disk."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from modelyard.errors import DataError
from modelyard.files.atomic import write_all
from modelyard.system import read_soon, waits

T = TypeVar("T")
R = TypeVar("R")

_SMALL_BYTES = 2**16
"""A file below this size is read at once: setting up a buffer for it would cost more than hashing it."""

LARGE_BYTES = 2**20
"""Files from this size on are hashed side by side; hashing smaller ones gives way to other threads too seldom."""

_BUFFER_BYTES = 2**18
"""How much of a larger file is read at a time: little enough to be in the core's cache when it is hashed."""

_FIRST = 16
"""How many smaller files are read before the rest, to see whether the disk must be waited for."""

_AT_ONCE = 64
"""How many smaller files are open at a time: enough for a disk to serve them together."""

Sized = tuple[str, int]
"""A file's path, and its size in bytes as far as that is known."""

Hashed = tuple[str, os.stat_result]
"""The SHA-256 of a file in hex, and its stat after it was read."""


def hash_file(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return _hash_open(descriptor)
    finally:
        os.close(descriptor)


def hash_files(files: Sequence[Sized]) -> list[str]:
    """Return the SHA-256 of each file, in hex.

    Raises:
        DataError: a file cannot be read.
    """
    return [digest for digest, _ in hash_and_stat(files)]


def hash_and_stat(files: Sequence[Sized]) -> list[Hashed]:
    """Return the SHA-256 and the stat of each file.

    Large files are hashed on all cores: hashing lets other threads run meanwhile. Smaller ones are hashed one after the
    other, since most of their work is Python's own; if they are not in memory, the disk is asked for many at once.

    Raises:
        DataError: a file cannot be read.
    """
    large = [file for file in files if file[1] >= LARGE_BYTES]
    if len(large) < 2:
        return _in_groups(files)
    hashed = itertools.chain.from_iterable(side_by_side(_hash_group, list(zip(large))))
    found = dict(zip(large, hashed, strict=True))
    small = iter(_in_groups([file for file in files if file[1] < LARGE_BYTES]))
    return [found[file] if file in found else next(small) for file in files]


def side_by_side(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Return what `work`, which lets other threads run meanwhile, makes of each of `items`, on all cores."""
    if len(items) < 2:
        return list(map(work, items))
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(len(items), os.cpu_count() or 1)) as pool:
        return list(pool.map(work, items))


def _in_groups(files: Sequence[Sized]) -> list[Hashed]:
    before = waits()
    found = _hash_group(files[:_FIRST])
    is_slow = waits() - before >= _FIRST // 2
    for start in range(_FIRST, len(files), _AT_ONCE):
        found += _hash_group(files[start : start + _AT_ONCE], is_slow=is_slow)
    return found


def _hash_group(files: Sequence[Sized], *, is_slow: bool = False) -> list[Hashed]:
    """Hash some files that are open together; if the disk `is_slow`, it is asked for all of them before one is read.

    There is no loop over the files where none is needed, since their share of Python is a third of all work.
    """
    try:
        with _opened([path for path, _ in files]) as descriptors:
            if is_slow:
                for descriptor in descriptors:
                    read_soon(descriptor)
            sizes = [size for _, size in files]
            heads = list(map(os.read, descriptors, [size + 1 if size < _SMALL_BYTES else 0 for size in sizes]))
            digests = list(map(_hexdigest, map(hashlib.sha256, heads)))
            for number, (head, size) in enumerate(zip(heads, sizes, strict=True)):
                if len(head) != size:
                    digests[number] = _hash_open(descriptors[number])
            return list(zip(digests, map(os.fstat, descriptors), strict=True))
    except OSError as exc:
        if len(files) == 1:
            raise unreadable(files[0][0], exc) from exc
    return [hashed for file in files for hashed in _hash_group([file])]  # to say which cannot be read


_hexdigest = type(hashlib.sha256()).hexdigest


@contextmanager
def _opened(paths: Sequence[str]) -> Iterator[list[int]]:
    descriptors: list[int] = []
    try:
        for path in paths:
            descriptors.append(os.open(path, os.O_RDONLY))  # one at a time: those that are open must be closed
        yield descriptors
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _hash_open(descriptor: int) -> str:
    """Return the SHA-256 of an open file's bytes, all of them whatever was read already."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    head = os.read(descriptor, _SMALL_BYTES)
    if len(head) < _SMALL_BYTES and not os.read(descriptor, 1):
        return hashlib.sha256(head).hexdigest()
    os.lseek(descriptor, 0, os.SEEK_SET)
    return _hash_in_parts(descriptor)


def _hash_in_parts(descriptor: int) -> str:
    """Return the SHA-256 of an open file's bytes, from where it stands."""
    digest = hashlib.sha256()
    for part in _parts(descriptor):
        digest.update(part)
    return digest.hexdigest()


def copy_open(reader: int, writer: int, size: int) -> str:
    """Copy an open file of about `size` bytes to another; return the SHA-256 of what was copied, in hex."""
    digest = hashlib.sha256()
    for part in _small_parts(reader) if size < _SMALL_BYTES else _parts(reader):
        digest.update(part)
        write_all(writer, part)
    return digest.hexdigest()


def _small_parts(descriptor: int) -> Iterator[bytes]:
    while data := os.read(descriptor, _SMALL_BYTES):
        yield data


def _parts(descriptor: int) -> Iterator[memoryview]:
    """Yield what is in an open file; a part stands until the next is asked for.

    The buffer begins at a page, which `hashlib.file_digest`'s does not: copying from the page cache to an
    address a few bytes off takes four times as long, and a third of the whole.
    """
    import mmap

    buffer = memoryview(mmap.mmap(-1, _BUFFER_BYTES))  # not closed: an error on its way up may still hold a part
    while count := os.readv(descriptor, [buffer]):
        yield buffer[:count]


def unreadable(path: str | os.PathLike[str], exc: OSError) -> DataError:
    """Return the error that says why `path` cannot be read."""
    return DataError(f"{path}: cannot be read: {exc.strerror}")


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what the system says of `path` into a `DataError`."""
    try:
        yield
    except OSError as exc:
        raise unreadable(path, exc) from exc
