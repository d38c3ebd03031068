"""What a folder's manifest must be, found out in the plainest way."""

from __future__ import annotations

import hashlib
from pathlib import Path

from modelyard.files.manifest import FileEntry, Manifest, manifest_digest
from modelyard.store.record import Record


def manifest_of(folder: Path) -> Manifest:
    """Return the manifest of the files below `folder`."""
    return {
        str(path.relative_to(folder)): FileEntry(
            hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size, bool(path.stat().st_mode & 0o100)
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def record_of(folder: Path, key: str, stage: str = "train:net", **facts: object) -> Record:
    """Return the record of a stage that made what is in `folder`."""
    outputs = manifest_of(folder)
    return Record(stage=stage, key=key, digest=manifest_digest(outputs), outputs=outputs, **facts)  # type: ignore[arg-type]
