"""Files that outlive a build, named by the digest of what they hold or of what they were made from.

Several builds may use one cache at once, so that each file is put in its place whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

from modelyard.files.atomic import replacing
from modelyard.files.hashing import hash_file

SHARED = "MODELYARD_CACHE"
"""The environment variable that names one folder for the packages, wheels and layers of all projects."""


def folder_of_images(own: Path) -> Path:
    """Return where an image builder keeps what it fetches and packs: the folder that all projects share, else `own`."""
    shared = os.environ.get(SHARED)
    return Path(shared).expanduser() if shared else own


def sha256_json(value: object) -> str:
    """Return the SHA-256 of `value` as canonical JSON, 64 hex digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def canonical_json(value: object) -> bytes:
    """Return `value` as JSON with sorted keys, no spaces, UTF-8, no final newline: the same bytes every time."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


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
        if hash_file(path) != sha256:
            path.unlink(missing_ok=True)
            return None
        return path

    def put(self, source: Path, sha256: str, name: str) -> Path:
        """Copy `source` into the cache under its digest, which the caller has checked, and return its place."""
        target = self.path(sha256, name)
        with replacing(target) as draft:
            shutil.copyfile(source, draft)
        return target
