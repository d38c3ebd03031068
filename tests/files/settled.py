"""Files whose stat can be trusted as soon as they are written."""

from __future__ import annotations

import time
from pathlib import Path

from modelyard.files import digests

HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
"""SHA-256 of `hello`. Source: `printf hello | sha256sum`."""


def settle(path: Path) -> None:
    """Wait until a change of `path` can no longer fall into the clock tick of an earlier one."""
    while time.time_ns() - path.stat().st_ctime_ns <= digests.RACY_NS:
        time.sleep(0.005)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    settle(path)
    return path
