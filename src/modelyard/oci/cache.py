"""Files that outlive a build, named by the digest of what they hold or of what they were made from.

Several builds may use one cache at once: a file is written beside its place and renamed, so that
a reader sees all of it or nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK_BYTES = 1 << 20


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of the file `path`, 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_json(value: object) -> str:
    """Return the SHA-256 of `value` as canonical JSON, 64 hex digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def canonical_json(value: object) -> bytes:
    """Return `value` as JSON with sorted keys, no spaces, UTF-8, no final newline: the same bytes every time."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Give a path beside `target` to write to; it becomes `target` at the end, or is removed if the block raises."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:40]}.", dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(target: Path, value: object) -> None:
    """Write `value` as canonical JSON to `target`, all or nothing."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(canonical_json(value))


def read_json(path: Path) -> Any:
    """Return what the JSON file `path` holds, or None when it is missing or damaged."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


class FileCache:
    """Downloads below one folder: `<sha256>/<name>`, checked again whenever one is taken out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha256: str, name: str) -> Path:
        """Return where the file `name` with digest `sha256` lies, or would lie."""
        return self.folder / sha256 / name

    def get(self, sha256: str, name: str) -> Path | None:
        """Return the file if the cache has it whole; a damaged one is removed."""
        path = self.path(sha256, name)
        if not path.is_file():
            return None
        if sha256_file(path) != sha256:
            path.unlink(missing_ok=True)
            return None
        return path

    def put(self, source: Path, sha256: str, name: str) -> Path:
        """Copy `source` into the cache under its digest, which the caller has checked, and return its place."""
        target = self.path(sha256, name)
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)
        return target
