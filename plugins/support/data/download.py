"""Download a file whose digest is known: whole and right, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

    from modelyard.contexts import Progress

_PIECE_BYTES = 1 << 18
_TIMEOUT_S = 30.0


def download(url: str, target: Path, *, md5: str, progress: Progress) -> Path:
    """Return `target`, downloaded from `url` unless it is there already, whole and right.

    Args:
        url: where it is.
        target: the file to write; it appears only when it is complete.
        md5: the digest that the publisher gives, hex.
        progress: told the bytes that have arrived.

    Raises:
        OSError: the server cannot be reached or says no, or the file has another digest.
    """
    import urllib.request

    from modelyard.files.atomic import replacing

    if target.exists() and _md5(target) == md5:
        return target
    with replacing(target) as partial:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer, partial.open("wb") as out:
            found = _copy(answer, out, int(answer.headers.get("Content-Length") or 0) or None, progress)
        if found != md5:
            msg = f"the file has the MD5 {found}, not {md5}"
            raise OSError(msg)
    return target


def _copy(answer: BinaryIO, out: BinaryIO, size_bytes: int | None, progress: Progress) -> str:
    """Copy `answer` to `out` and return its MD5."""
    import hashlib
    import os

    digest, done = hashlib.md5(usedforsecurity=False), 0
    while piece := answer.read(_PIECE_BYTES):
        out.write(piece)
        digest.update(piece)
        done += len(piece)
        progress(done, size_bytes, unit="B", note="download")
    out.flush()
    os.fsync(out.fileno())
    return digest.hexdigest()


def _md5(path: Path) -> str:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
