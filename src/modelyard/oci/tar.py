"""Tar files that hold nothing of the machine, the user or the hour that they were made in.

Source: OCI image-spec, layer.md; POSIX.1-2001 pax, of which a name over 100 bytes is the only use.
"""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelyard.oci.tree import Entry

TYPES = {"file": tarfile.REGTYPE, "dir": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}


def write_tar(entries: Iterable[tuple[str, Entry]], stream: BinaryIO, epoch: int) -> None:
    """Write `entries`, in their order, as a tar to `stream`; every time stamp is `epoch` (seconds)."""
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT, pax_headers={}) as archive:
        for path, entry in entries:
            info = _header(path, entry, epoch)
            if entry.kind == "file":
                with entry.source() as content:
                    archive.addfile(info, content)
            else:
                archive.addfile(info)


def tar_size(entries: Iterable[tuple[str, Entry]], epoch: int) -> int:
    """Return the size in bytes of the tar that `write_tar` writes; no content is read."""
    size = 2 * tarfile.BLOCKSIZE  # the end of an archive
    for path, entry in entries:
        header = _header(path, entry, epoch).tobuf(tarfile.PAX_FORMAT, tarfile.ENCODING, "surrogateescape")
        size += len(header) + _rounded_up(entry.size, tarfile.BLOCKSIZE)
    return _rounded_up(size, tarfile.RECORDSIZE)


def _rounded_up(size: int, unit: int) -> int:
    return -(-size // unit) * unit


def _header(path: str, entry: Entry, epoch: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.type = TYPES[entry.kind]
    info.mode, info.uid, info.gid = entry.mode, entry.uid, entry.gid
    info.size, info.linkname, info.mtime = entry.size, entry.target, epoch
    return info
