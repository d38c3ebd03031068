"""Which commit a folder is at."""

from __future__ import annotations

import subprocess
from pathlib import Path


def commit(folder: Path) -> str:
    """Return the commit that `folder` is at, with `+` if the tree is not clean; empty outside git."""
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=False)
        if head.returncode != 0:
            return ""
        changes = subprocess.run(
            ["git", "status", "--porcelain"], cwd=folder, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return head.stdout.strip() + ("+" if changes.stdout.strip() else "")
