"""A folder as a manifest: its files by name, each with the digest of its content."""

from __future__ import annotations

import hashlib
import os

import msgspec

from modelyard.errors import DataError


class FileEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One file of an artifact: SHA-256 in hex, size in bytes, and whether it is executable."""

    digest: str
    size: int
    executable: bool = False


def is_executable(info: os.stat_result) -> bool:
    """Tell whether a file's owner may run it: the one bit of its mode that counts in a digest."""
    return bool(info.st_mode & 0o100)


Manifest = dict[str, FileEntry]
"""The files of a folder by their path below it, with `/` between the parts."""


def manifest_digest(manifest: Manifest, part: str = "") -> str:
    """Return the digest of a manifest, or of the file or folder `part` in it.

    Raises:
        DataError: there is no such part.
    """
    names = sorted(name for name in manifest if _within(name, part)) if part else sorted(manifest)
    rows = [(name, (entry := manifest[name]).digest, entry.executable) for name in names]
    if part and not rows:
        msg = f"the artifact has no {part!r}\n  it holds: {', '.join(sorted(manifest)) or 'nothing'}"
        raise DataError(msg)
    return hashlib.sha256(msgspec.json.encode(rows)).hexdigest()


def _within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}/")
