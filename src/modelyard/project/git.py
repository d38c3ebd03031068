"""What git says of a folder: which commit it is at, and who works there."""

from __future__ import annotations

import subprocess
from pathlib import Path


def commit(folder: Path) -> str:
    """Return the commit that `folder` is at, with `+` if the tree is not clean; empty outside git."""
    head = _git(folder, "rev-parse", "HEAD")
    return head + ("+" if head and _git(folder, "status", "--porcelain") else "")


def email(folder: Path) -> str:
    """Return by what address git knows who works in `folder`; empty if it does not."""
    return _git(folder, "config", "user.email")


def _git(folder: Path, *words: str) -> str:
    """Return what git answers, empty where it fails or is not installed."""
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
