"""What stands in for machines and programs that are not at hand."""

from __future__ import annotations

import os
from pathlib import Path


def as_on_macos() -> str:
    """Return a PYTHONPATH that takes away what macOS lacks, from every Python that is started with it."""
    before = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(Path(__file__).parent / "macos"), *([before] if before else [])])
