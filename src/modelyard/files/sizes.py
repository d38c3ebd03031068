"""How large a file is, or what a folder holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def file_sizes(path: Path) -> dict[Path, int]:
    """Return the size in bytes of the file `path`, or of each file in the folder, sorted."""
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    return {file: file.stat().st_size for file in files}


def total_size(path: Path) -> int:
    """Return the size in bytes of the file `path`, or of all files in the folder together."""
    return sum(file_sizes(path).values())
