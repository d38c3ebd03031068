"""How much memory there is, for what must be asked before a file is unpacked."""

from __future__ import annotations

import os
from pathlib import Path

from modelyard.errors import DataError

_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""The container's own limit, in a control group of version 2; `max` where there is none."""


def check_fits(path: Path, size_bytes: int, advice: str) -> None:
    """Check that `size_bytes` of what `path` unpacks to fit the machine, before anything is unpacked.

    Raises:
        DataError: they do not: the file is damaged, or made to fill the memory, or for a larger machine.
    """
    most = memory_bytes()
    if size_bytes > most:
        msg = f"{path}: unpacks to {size_bytes:,} bytes, but the machine has {most:,}\n  {advice}"
        raise DataError(msg)


def memory_bytes() -> int:
    """Return the memory of the machine, or of the container, in bytes."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = _LIMIT.read_text().strip()
    except OSError:
        return machine
    return min(machine, int(limit)) if limit.isdigit() else machine
