"""Tar files that hold nothing of the machine, the user or the hour that they were made in.

Source: OCI image-spec, layer.md; POSIX.1-2001 pax, of which a name over 100 bytes is the only use.
"""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from modelyard.oci.tree import Entry

TYPES = {"file": tarfile.REGTYPE, "dir": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}
_END_BYTES = 2 * tarfile.BLOCKSIZE
_PART_BYTES = 2**20


def write_tar(entries: Iterable[tuple[str, Entry]], stream: BinaryIO, epoch: int) -> None:
    """Write `entries`, in their order, as a tar to `stream`; every time stamp is `epoch` (seconds)."""
    for part in tar_parts(entries, epoch):  # noqa: FURB122 - a stream that passes on what it is given has `write` alone
        stream.write(part)


def tar_parts(entries: Iterable[tuple[str, Entry]], epoch: int) -> Iterator[bytes]:
    """Yield what `write_tar` writes, in parts of at most 1 MiB.

    Raises:
        OSError: a file is shorter than its entry says.
    """
    size = 0
    for path, entry in entries:
        for part in _entry_parts(path, entry, epoch):
            size += len(part)
            yield part
    yield bytes(_rounded_up(size + _END_BYTES, tarfile.RECORDSIZE) - size)


def _entry_parts(path: str, entry: Entry, epoch: int) -> Iterator[bytes]:
    yield _header(path, entry, epoch)
    left = entry.size
    with entry.source() as content:
        while left:
            part = content.read(min(left, _PART_BYTES))
            if not part:
                msg = f"{path}: ends {left:,} bytes early"
                raise OSError(msg)
            left -= len(part)
            yield part
    yield bytes(-entry.size % tarfile.BLOCKSIZE)


def tar_size(entries: Iterable[tuple[str, Entry]], epoch: int) -> int:
    """Return the size in bytes of the tar that `write_tar` writes; no content is read."""
    sizes = (len(_header(path, one, epoch)) + _rounded_up(one.size, tarfile.BLOCKSIZE) for path, one in entries)
    return _rounded_up(sum(sizes) + _END_BYTES, tarfile.RECORDSIZE)


def stream_of(parts: Iterator[bytes]) -> BinaryIO:
    """Return `parts` as one file to read."""
    return io.BufferedReader(_Parts(parts))


class _Parts(io.RawIOBase):
    def __init__(self, parts: Iterator[bytes]) -> None:
        super().__init__()
        self._parts, self._rest = parts, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._rest = memoryview(part)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _rounded_up(size: int, unit: int) -> int:
    return -(-size // unit) * unit


def _header(path: str, entry: Entry, epoch: int) -> bytes:
    info = tarfile.TarInfo(path)
    info.type = TYPES[entry.kind]
    info.mode, info.uid, info.gid = entry.mode, entry.uid, entry.gid
    info.size, info.linkname, info.mtime = entry.size, entry.target, epoch
    return info.tobuf(tarfile.PAX_FORMAT, tarfile.ENCODING, "surrogateescape")
